#!/usr/bin/env bash
# Runs a Python script with Hugging Face transformers, on Debian's torch. By hand only: PyPI is
# needed the first time.
#   tests/golden/with_transformers.sh SCRIPT [ARGUMENT...]
# transformers goes into .cache/transformers. Prints "skipped: REASON" and exits with 0 where it
# cannot be had; else with the script's exit code.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache/transformers

python=/usr/bin/python3    # Debian's own: the one that python3-torch belongs to
# The first with Qwen3. Tried with torch 1.13, which old_torch.py makes do.
packages=(transformers==4.51.3 'numpy<2')
skip() { echo "skipped: $*"; exit 0; }

"$python" -c 'import torch' 2>/dev/null ||
  skip "$python has no torch (apt-get install python3-torch)"

version=$(echo "${packages[*]} $("$python" --version)" | cksum | cut -d ' ' -f 1)
modules=$cache/$version
if [ ! -d "$modules" ]; then
  "$python" -m pip --version >/dev/null 2>&1 ||
    skip "$python has no pip (apt-get install python3-pip)"
  echo "==> installing ${packages[*]} into .cache/transformers"
  log=$cache/pip.log
  rm -rf "$modules.part"
  mkdir -p "$modules.part"
  "$python" -m pip install --only-binary :all: --target "$modules.part" "${packages[@]}" \
    >"$log" 2>&1 ||
    skip "pip cannot install ${packages[*]}: $(grep ERROR "$log" | tail -n 1) (log: $log)"
  mv "$modules.part" "$modules"
fi
export HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$modules:$here exec "$python" "$@"
