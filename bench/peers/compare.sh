#!/usr/bin/env bash
# Our training step and the peers' same step, in turns on the same machine: medians and ratios.
#   bench/peers/compare.sh [ROUNDS [PRESET:BATCH:SEQ ...]]     3 rounds, llama-17m:16:256 llama-160m:4:1024
# Peers: PyTorch of Debian (python3-torch), the newest PyTorch, as it is and compiled, and MindSpore
# of PyPI (fetch.sh gets these two). One that is not there, or takes longer than AUTARKY_PEER_LIMIT_S
# (600) for one run, is left out with the reason. AUTARKY_PEER_DTYPES ("bf16 f32") says which types.
set -euo pipefail
cd "$(dirname "$0")/../.."
autarky=${AUTARKY_BUILD_DIR:-build}/autarky
peers=${AUTARKY_CACHE:-$HOME/.cache/autarky}/peers
rounds=${1:-3}
shift || true
shapes=("$@")
[ ${#shapes[@]} -gt 0 ] || shapes=(llama-17m:16:256 llama-160m:4:1024)
[ -x "$autarky" ] || { echo "compare: no $autarky: ./dev build makes it" >&2; exit 1; }

programs=()
# add MODULE PYTHON HOW_TO_GET PROGRAM...
add() {
  local module=$1 python=$2 how=$3
  shift 3
  if "$python" -c "import $module" 2>/dev/null; then programs+=("$@")
  else echo "compare: $python has no $module, left out ($how)" >&2
  fi
}
torch=bench/peers/torch_train.py
add torch /usr/bin/python3 "apt-get install python3-torch libopenblas0" "/usr/bin/python3 $torch"
add torch "$peers/torch/bin/python" bench/peers/fetch.sh \
  "$peers/torch/bin/python $torch" "$peers/torch/bin/python $torch {} compile"
add mindspore "$peers/mindspore/bin/python" bench/peers/fetch.sh \
  "$peers/mindspore/bin/python bench/peers/mindspore_train.py"
exec python3 bench/peers/compare.py "$autarky" "$rounds" "${shapes[@]}" -- "${programs[@]}"
