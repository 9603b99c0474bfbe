#!/usr/bin/env bash
# Installs the newest PyTorch and MindSpore of PyPI for compare.sh, each into a Python environment of
# its own in ~/.cache/autarky/peers (AUTARKY_CACHE names another folder). Several gigabytes and
# minutes; never part of CI. What is there stays: delete a folder to fetch it anew.
#   bench/peers/fetch.sh
set -euo pipefail
peers=${AUTARKY_CACHE:-$HOME/.cache/autarky}/peers
mkdir -p "$peers"
for package in torch mindspore; do
  if [ -x "$peers/$package/bin/python" ] && "$peers/$package/bin/python" -c "import $package" 2>/dev/null
  then echo "fetch: $package is there"; continue
  fi
  echo "fetch: installing $package into $peers/$package"
  rm -rf "${peers:?}/$package"
  python3 -m venv "$peers/$package"
  "$peers/$package/bin/pip" install --quiet "$package" numpy setuptools ||
    echo "fetch: pip cannot install $package" >&2
done
