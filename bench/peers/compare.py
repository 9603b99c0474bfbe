"""Runs every program in turns and prints medians; see compare.sh, which calls it.

usage: compare.py AUTARKY ROUNDS PRESET:BATCH:SEQ... -- COMMAND...
In a peer's command {} stands for the arguments (at its end if there is no {}).
"""
import json
import os
import statistics
import subprocess
import sys

STEPS = 3
LIMIT_S = int(os.environ.get("AUTARKY_PEER_LIMIT_S", "600"))  # of one run
DTYPES = os.environ.get("AUTARKY_PEER_DTYPES", "bf16 f32").split()

autarky, rounds = sys.argv[1], int(sys.argv[2])
dashes = sys.argv.index("--")
shapes, peers = sys.argv[3:dashes], sys.argv[dashes + 1:]
environment = dict(os.environ, OMP_NUM_THREADS=str(len(os.sched_getaffinity(0))))
left_out = set()


def run(command):
    if tuple(command) in left_out:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT_S)
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"more than {LIMIT_S} s for {STEPS} steps and two to warm up"
    print(f"  left out: {' '.join(command[:3])}: {reason}", file=sys.stderr)
    left_out.add(tuple(command))
    return None


def step(preset, batch, seq, dtype):
    return run([autarky, "bench", "train", "--model", preset, "--batch", batch, "--seq", seq,
                "--dtype", dtype, "--steps", str(STEPS), "--json"])


def peer_steps(batch, seq, dtype, model):
    sizes = [model[k] for k in ("layers", "hidden", "heads", "ffn", "vocab")]
    arguments = " ".join(map(str, [dtype, batch, seq, *sizes, STEPS]))
    for peer in peers:
        yield run((peer if "{}" in peer else peer + " {}").replace("{}", arguments).split())


for shape in shapes:
    preset, batch, seq = shape.split(":")
    results = {}
    for _ in range(rounds):
        for dtype in DTYPES:
            ours = step(preset, batch, seq, dtype)
            if not ours:
                sys.exit(f"compare: our own step of {shape} fails")
            for r in [dict(ours, name="autarky"), *peer_steps(batch, seq, dtype, ours["model"])]:
                if r:
                    results.setdefault((r["name"], dtype), []).append(r)
    print(f"{preset}, B {batch}, T {seq}: medians of {rounds} rounds in turns, {STEPS} steps each")
    print(f"{'':32} {'tokens/s':>9} {'GFLOP/s':>8} {'memory':>8}  ours is")
    median = {n: {k: statistics.median(r[k] for r in rs) for k in
                  ("tokens_per_s", "model_flops_per_s", "memory_bytes")} for n, rs in results.items()}
    for (name, dtype), m in median.items():
        ratio = "" if name == "autarky" else \
            f"{median['autarky', dtype]['tokens_per_s'] / m['tokens_per_s']:.2f} x as fast"
        print(f"{name + ' ' + dtype:32} {m['tokens_per_s']:9.1f} {m['model_flops_per_s'] / 1e9:8.1f} "
              f"{m['memory_bytes'] / 1e9:5.2f} GB  {ratio}", flush=True)
