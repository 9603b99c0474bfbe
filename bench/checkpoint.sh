#!/usr/bin/env bash
# What checkpoints cost: two ranks train the quickstart model and save every 20 steps; the time that the
# steps around a save take beyond the others, as a share of the 20.
#   bench/checkpoint.sh [SAVES] [--section.key=value ...]      5 saves; changes of the recipe
# Needs the quickstart's data (scripts/quickstart.sh), and a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
saves=${1:-5}
[ $# -gt 0 ] && shift
autarky=${AUTARKY_BUILD_DIR:-build}/autarky
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT
mkdir "$folder/run"
touch "$folder/run/metrics.jsonl"
# The time at which the line of each step comes: what is saved in the foreground counts too.
tail -n +1 -F "$folder/run/metrics.jsonl" 2>/dev/null |
  while IFS= read -r line; do echo "$EPOCHREALTIME $line"; done >"$folder/lines" &
"$autarky" launch -n 2 -- train recipes/quickstart.yaml --parallel.data_parallel_size=2 \
  --train.steps=$((20 * saves + 20)) --train.eval_every=0 --checkpoint.every=20 --logging.samples=0 \
  --logging.run_dir="$folder/run" "$@" >/dev/null 2>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
sleep 1
kill $(jobs -p) 2>/dev/null || true
sed -n '/val_loss/d; s/^\([0-9.]*\) {"step":\([0-9]*\),.*/\1 \2/p' "$folder/lines" >"$folder/times"
# The saves are in the first 10 intervals after steps 20, 40, ...; the 10 others are a step's time.
awk -v saves="$saves" '
  { at[$2] = $1 }
  END {
    for (k = 1; k <= saves; k++) {
      n = 0
      for (s = 20 * k + 11; s <= 20 * k + 19; s++) plain[n++] = at[s + 1] - at[s]
      for (i = 1; i < n; i++) for (j = i; j > 0 && plain[j] < plain[j - 1]; j--) { t = plain[j]; plain[j] = plain[j - 1]; plain[j - 1] = t }
      step = plain[int(n / 2)]
      cost = (at[20 * k + 10] - at[20 * k] - 10 * step) / (20 * step)
      printf "save after step %d: a step takes %.3f s, the save costs %.1f%% of 20\n", 20 * k, step, 100 * cost
      sum += cost
    }
    printf "checkpoints every 20 steps cost %.1f%% of the time (mean of %d)\n", 100 * sum / saves, saves
  }' "$folder/times"
