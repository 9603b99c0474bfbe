#!/usr/bin/env bash
# How long it takes to compile, plan and simulate the step of tele-flm-1t for 16,384 ranks (tp 8,
# pp 32, dp 64; all 32 kinds of rank), and how much memory.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/recipe.yaml" <<'END'
model: {preset: tele-flm-1t}
data: {train: [{prefix: none}]}
train: {steps: 1, seq_length: 4096, micro_batch_size: 1, global_batch_size: 4096, dtype: bf16}
parallel:
  data_parallel_size: 64
  tensor_parallel_size: 8
  pipeline_parallel_size: 32
  zero_stage: 1
  sequence_parallel: true
END
# It does not fit on this machine: code 2.
python3 - "$folder/recipe.yaml" <<'END'
import resource, subprocess, sys, time
start = time.time()
run = subprocess.run(['build/autarky', 'train', sys.argv[1], '--dry-run', '--json'],
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
seconds = time.time() - start
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
assert run.returncode in (0, 2) and b'predicted_step_s' in run.stdout, run
print(f'{seconds:.2f} s ({usage.ru_utime + usage.ru_stime:.2f} s of a processor), '
      f'{usage.ru_maxrss / 1e3:.0f} MB')
END
