#!/usr/bin/env bash
# BPE training and encoding beside Hugging Face tokenizers and tiktoken, and `data build` beside our
# encoder, one thread and two, in one interleaved run: medians, ratios and peak memory as a table.
# By hand only: it wants PyPI the first time.
#   bench/peers/tokenizers.sh [MEGABYTES] [ROUNDS]
# Text: scripts/make_corpus.sh, shuffled and repeated to MEGABYTES (100). Peers and text go into
# ~/.cache/autarky/tokenizers. Exit codes: 0, or "skipped: REASON"; 2 the program cannot be built.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${AUTARKY_BUILD_DIR:-build}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/autarky/tokenizers
peers=(tokenizers==0.23.3 tiktoken==0.14.0)
skip() { echo "skipped: $*"; exit 0; }

cmake -S . -B "$build" -DAUTARKY_BENCH=ON >/dev/null &&
  cmake --build "$build" --target tokenizer_bench autarky >/dev/null ||
  { echo "tokenizers: the programs cannot be built in $build" >&2; exit 2; }

mkdir -p "$cache"
modules=$cache/peers-$(echo "${peers[*]} $(python3 --version)" | cksum | cut -d ' ' -f 1)
if [ ! -d "$modules" ]; then
  rm -rf "$modules.part"
  python3 -m pip install --only-binary :all: --target "$modules.part" "${peers[@]}" \
    >"$cache/pip.log" 2>&1 ||
    skip "pip cannot install: $(grep ERROR "$cache/pip.log" | tail -n 1) (log: $cache/pip.log)"
  mv "$modules.part" "$modules"
fi
scripts/make_corpus.sh "$cache/corpus" >/dev/null

export PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$modules python3 bench/peers/tokenizers_compare.py compare \
  "$build" "$cache" "${1:-100}" "${2:-3}"
