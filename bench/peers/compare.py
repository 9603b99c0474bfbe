"""Runs every program in turns and prints medians; see compare.sh, which calls it."""
import json
import os
import statistics
import subprocess
import sys

# layers, hidden, heads, ffn, vocabulary: the presets of src/models/presets.cpp
SHAPES = {"llama-17m": (6, 384, 6, 1024, 8192), "llama-160m": (12, 768, 12, 2048, 50257)}
STEPS = 3

autarky, rounds, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pythons, shapes = sys.argv[4:4 + count], sys.argv[4 + count:]
environment = dict(os.environ, OMP_NUM_THREADS=str(len(os.sched_getaffinity(0))))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"  left out: {' '.join(command[:2])}: {reason}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def programs(preset, batch, seq):
    for dtype in ("bf16", "f32"):
        yield f"autarky {dtype}", [autarky, "bench", "train", "--model", preset, "--batch", batch,
                                   "--seq", seq, "--dtype", dtype, "--steps", str(STEPS), "--json"]
        for python in pythons:
            yield f"{python} {dtype}", [python, "bench/peers/torch_train.py", dtype, batch, seq,
                                        *map(str, SHAPES[preset]), str(STEPS)]


for shape in shapes:
    preset, batch, seq = shape.split(":")
    results = {}
    for _ in range(rounds):
        for name, command in programs(preset, batch, seq):
            result = run(command)
            if result:
                label = name if name.startswith("autarky") else f"{result['name']} {name.split()[-1]}"
                results.setdefault(label, []).append(result)
    print(f"{preset}, B {batch}, T {seq}: medians of {rounds} rounds in turns, {STEPS} steps each")
    print(f"{'':28} {'tokens/s':>9} {'GFLOP/s':>8} {'memory':>8}  ours is")
    median = {n: {k: statistics.median(r[k] for r in rs) for k in
                  ("tokens_per_s", "model_flops_per_s", "memory_bytes")} for n, rs in results.items()}
    for name, m in median.items():
        ours = median.get("autarky " + name.split()[-1])
        ratio = "" if name.startswith("autarky") or not ours else \
            f"{ours['tokens_per_s'] / m['tokens_per_s']:.2f} x as fast"
        print(f"{name:28} {m['tokens_per_s']:9.1f} {m['model_flops_per_s'] / 1e9:8.1f} "
              f"{m['memory_bytes'] / 1e9:5.2f} GB  {ratio}")
