#!/usr/bin/env bash
# Seconds from the kill of a rank to the next finished step: two ranks train the quickstart model, one of
# them is killed in each turn, `autarky launch` starts the run again.
#   bench/recovery.sh [TURNS] [--section.key=value ...]      7 turns; changes of the recipe
# The state is kept in memory after every step (checkpoint.memory_every=1); --checkpoint.memory_every=0
# --checkpoint.every=5 measures restarts from the disk. Needs the quickstart's data (scripts/quickstart.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
turns=${1:-7}
[ $# -gt 0 ] && shift
autarky=${AUTARKY_BUILD_DIR:-build}/autarky
folder=$(mktemp -d)
run=$folder/run log=$folder/log
"$autarky" launch -n 2 --max-restarts 1000 -- train recipes/quickstart.yaml \
  --parallel.data_parallel_size=2 --train.steps=100000 --train.eval_every=0 --checkpoint.every=0 \
  --checkpoint.memory_every=1 --logging.samples=0 "$@" --logging.run_dir="$run" >/dev/null 2>"$log" &
launcher=$!
trap 'kill -9 "$launcher" 2>/dev/null; wait "$launcher" 2>/dev/null; sleep 1; rm -rf "$folder"' EXIT

now() { date +%s.%N; }
last_step() { { tail -n 1 "$run/metrics.jsonl" 2>/dev/null || true; } | sed -n 's/^{"step":\([0-9]*\),.*}$/\1/p'; }
# Waits until the last finished step is above $1.
step_above() {
  local step
  until step=$(last_step); [ -n "$step" ] && [ "$step" -gt "$1" ]; do
    kill -0 "$launcher" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.01
  done
}
ranks() {
  local pid
  for pid in $(pgrep -f -- "--logging.run_dir=$run"); do
    tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -q '^OMPI_COMM_WORLD_RANK=' && echo "$pid"
  done || true
}
middle() { printf '%s\n' "$@" | sort -g | sed -n "$((($# + 1) / 2))p"; }

step_above 3
seconds=()
for ((turn = 1; turn <= turns; turn++)); do
  before=$(grep -c 'resumed after step' "$log" || true)
  victims=($(ranks))
  start=$(now)
  kill -9 "${victims[$((turn % 2))]}"
  until [ "$(grep -c 'resumed after step' "$log" || true)" -gt "$before" ]; do sleep 0.01; done
  resumed=$(now)
  step_above "$(sed -n 's/.*resumed after step \([0-9]*\) .*/\1/p' "$log" | tail -n 1)"
  seconds+=("$(awk -v a="$start" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }')")
  awk -v a="$start" -v r="$resumed" -v b="$(now)" -v t="$turn" \
    'BEGIN { printf "turn %d: %.2f s until the state is loaded, %.2f s more for a step\n", t, r - a, b - r }'
  step_above "$(($(last_step) + 2))"
done
echo "a step: $(sed -n 's/.*"step_s":\([0-9.e-]*\),.*/\1/p' "$run/metrics.jsonl" | sort -g | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }') s (median)"
echo "from the kill to the next finished step: $(middle "${seconds[@]}") s (${seconds[*]})"
