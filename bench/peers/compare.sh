#!/usr/bin/env bash
# Our training step and a peer's same step, in turns on the same machine: medians and ratios.
#   bench/peers/compare.sh [ROUNDS [PRESET:BATCH:SEQ ...]]     3 rounds, llama-17m:16:256 llama-160m:4:1024
# Peers: PyTorch of Debian (python3-torch), and any other PyTorch whose python is named in
# AUTARKY_TORCH_PYTHONS (separated by colons). One that is not there is left out with the reason.
set -euo pipefail
cd "$(dirname "$0")/../.."
autarky=${AUTARKY_BUILD_DIR:-build}/autarky
rounds=${1:-3}
shift || true
shapes=("$@")
[ ${#shapes[@]} -gt 0 ] || shapes=(llama-17m:16:256 llama-160m:4:1024)
[ -x "$autarky" ] || { echo "compare: no $autarky: ./dev build makes it" >&2; exit 1; }

pythons=()
IFS=: read -r -a candidates <<<"/usr/bin/python3:${AUTARKY_TORCH_PYTHONS-}"
for python in "${candidates[@]}"; do
  if [ -n "$python" ] && "$python" -c 'import torch' 2>/dev/null; then pythons+=("$python")
  elif [ -n "$python" ]; then echo "compare: $python has no torch, left out (Debian: apt-get install python3-torch)" >&2
  fi
done
exec python3 bench/peers/compare.py "$autarky" "$rounds" "${#pythons[@]}" "${pythons[@]}" "${shapes[@]}"
