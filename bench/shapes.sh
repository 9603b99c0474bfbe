#!/usr/bin/env bash
# Training steps over shapes: speed, memory, and how near the predictions come.
#   bench/shapes.sh [STEPS [PRESET:BATCH:SEQ:DTYPE:RECOMPUTE ...]]      3 steps each, the twelve below
# Each run measures the machine first. The last line has the median error of the predicted
# step times.
set -euo pipefail
cd "$(dirname "$0")/.."
autarky=${AUTARKY_BUILD_DIR:-build}/autarky
steps=${1:-3}
shift || true
shapes=("$@")
[ ${#shapes[@]} -gt 0 ] || shapes=(
  llama-17m:16:256:bf16:{selective,none,full} llama-17m:16:256:f32:selective
  llama-17m:4:1024:bf16:selective llama-17m:1:{4096,16384}:bf16:selective
  llama-160m:4:1024:bf16:selective llama-160m:1:1024:bf16:{none,full} llama-160m:1:512:f32:selective
  gpt2-124m:2:512:bf16:selective)
[ -x "$autarky" ] || { echo "shapes: no $autarky: ./dev build makes it" >&2; exit 1; }

printf '%-42s %9s %8s %6s %9s %9s %7s %7s\n' "shape" "tokens/s" "step" "MFU" "memory" \
  "predicted" "step" "memory"
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for shape in "${shapes[@]}"; do
  IFS=: read -r model batch seq dtype recompute <<<"$shape"
  "$autarky" bench train --model "$model" --batch "$batch" --seq "$seq" --dtype "$dtype" \
    --recompute "$recompute" --steps "$steps" --json 2>/dev/null | tail -n 1 >>"$results"
  python3 - "$shape" "$results" <<'PYTHON'
import json, sys
r = json.loads(open(sys.argv[2]).readlines()[-1])
off = [f"{100 * (r['predicted_' + k] / r[k] - 1):+.1f}%" for k in ("step_s", "memory_bytes")]
print(f"{sys.argv[1]:42} {r['tokens_per_s']:9.1f} {r['step_s']:7.2f}s {r['mfu']:6.3f} "
      f"{r['memory_bytes'] / 1e9:6.3f} GB {r['predicted_step_s']:8.2f}s {off[0]:>7} {off[1]:>7}")
PYTHON
done
python3 - "$results" <<'PYTHON'
import json, statistics, sys
off = [abs(r["predicted_step_s"] / r["step_s"] - 1) for r in map(json.loads, open(sys.argv[1]))]
print(f"predicted step time, {len(off)} shapes: median error {100 * statistics.median(off):.1f}%, "
      f"largest {100 * max(off):.1f}%")
PYTHON
