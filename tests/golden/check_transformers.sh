#!/usr/bin/env bash
# Models go over to Hugging Face transformers and back with the same log-probabilities. By hand
# only: it wants Debian's python3-torch, and PyPI the first time.
#   tests/golden/check_transformers.sh
# transformers goes into .cache/transformers; everything else into a temporary folder.
# Exit codes: 0 all within bounds, or "skipped: REASON"; 1 something differs; 2 no program built.
set -euo pipefail
cd "$(dirname "$0")/../.."

program=${AUTARKY_BUILD_DIR:-build}/autarky
python=/usr/bin/python3    # Debian's own: the one that python3-torch belongs to
# Tried with torch 1.13. 4.39.3 (tokenizers 0.15) cannot read merges that are pairs, as ours are.
packages=(transformers==4.45.2 'numpy<2')
skip() { echo "skipped: $*"; exit 0; }

[ -x "$program" ] || { echo "check_transformers: no $program: ./dev build makes it" >&2; exit 2; }
"$python" -c 'import torch' 2>/dev/null ||
  skip "$python has no torch (apt-get install python3-torch)"

version=$(echo "${packages[*]} $("$python" --version)" | cksum | cut -d ' ' -f 1)
modules=$PWD/.cache/transformers/$version
if [ ! -d "$modules" ]; then
  "$python" -m pip --version >/dev/null 2>&1 ||
    skip "$python has no pip (apt-get install python3-pip)"
  echo "==> installing ${packages[*]} into .cache/transformers"
  log=$PWD/.cache/transformers/pip.log
  rm -rf "$modules.part"
  mkdir -p "$modules.part"
  "$python" -m pip install --only-binary :all: --target "$modules.part" "${packages[@]}" \
    >"$log" 2>&1 ||
    skip "pip cannot install ${packages[*]}: $(grep ERROR "$log" | tail -n 1) (log: $log)"
  mv "$modules.part" "$modules"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HF_HUB_OFFLINE=1 HF_HOME=$scratch/hub XDG_CACHE_HOME=$scratch/cache PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$modules "$python" tests/golden/check_transformers.py "$program" "$scratch"
