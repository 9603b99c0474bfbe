#!/usr/bin/env bash
# Training over two ranks of one thread each beside one process with two threads, in turns: tokens/s
# as a ratio, and the predicted step beside the measured one. Medians over the rounds.
#   bench/ranks.sh [ROUNDS] [MODEL] [SEQ] [MICRO_BATCHES]     3 gpt2-124m 1024 16 if not given
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3} model=${2:-gpt2-124m} seq=${3:-1024} count=${4:-16}
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# measure NAME RANKS MICRO_BATCHES OPTION...
measure() {
  local name=$1 ranks=$2 micro=$3
  shift 3
  build/autarky launch -n "$ranks" --threads $((2 / ranks)) -- bench train --model "$model" \
    --batch 1 --seq "$seq" --dtype bf16 --steps 2 --micro-batches "$micro" "$@" --json 2>/dev/null |
    tail -n 1 | sed "s/^/$name /" >>"$results"
  echo "  $name done at $SECONDS s" >&2
}

for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  measure one 1 "$count"
  measure dp2 2 $((count / 2)) --data-parallel-size 2
  measure tp2 2 "$count" --tensor-parallel-size 2
  measure pp2 2 "$count" --pipeline-parallel-size 2
  measure dp2+zero3 2 $((count / 2)) --data-parallel-size 2 --zero-stage 3
done

python3 - "$results" <<'END'
import json, statistics, sys
runs = {}
for line in open(sys.argv[1]):
    name, text = line.split(' ', 1)
    runs.setdefault(name, []).append(json.loads(text))
def median(name, key):
    return statistics.median(r[key] for r in runs[name])
one = median('one', 'tokens_per_s')
print(f"{'layout':<10} {'tokens/s':>9} {'of one':>7} {'step':>8} {'predicted':>9} {'memory':>8}")
errors = []
for name in runs:
    speed, step = median(name, 'tokens_per_s'), median(name, 'step_s')
    error = statistics.median(r['predicted_step_s'] / r['step_s'] - 1 for r in runs[name])
    if name != 'one':
        errors.append(abs(error))
    print(f"{name:<10} {speed:>9.1f} {speed / one:>7.2f} {step:>7.2f}s {error:>+9.1%} "
          f"{median(name, 'memory_bytes') / 1e9:>6.2f}GB")
print(f"median error of prediction over two ranks: {statistics.median(errors):.1%}")
END
