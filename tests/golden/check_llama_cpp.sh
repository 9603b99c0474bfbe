#!/usr/bin/env bash
# llama.cpp loads our GGUF and goes on with a text by the same greedy 32 tokens, from F32, F16 and
# Q8_0. By hand only: it wants PyPI the first time (xllamacpp, which ships llama.cpp built), and a
# model:
#   tests/golden/check_llama_cpp.sh MODEL      a folder or a .gguf file, such as the one that
#                                              examples/smollm2.sh leaves in its cache
# Exit codes: 0 the same tokens, or "skipped: REASON"; 1 others; 2 wrong use.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

program=${AUTARKY_BUILD_DIR:-build}/autarky
venv=${AUTARKY_CACHE:-$HOME/.cache/autarky}/llama_cpp
[ $# -eq 1 ] || { sed -n 2,8p "$0" >&2; exit 2; }
[ -x "$program" ] || { echo "check_llama_cpp: no $program: ./dev build makes it" >&2; exit 2; }
if ! "$venv/bin/python" -c 'import xllamacpp' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --only-binary :all: xllamacpp ||
    { echo "skipped: pip cannot install xllamacpp"; exit 0; }
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0
for dtype in f32 f16 q8_0; do
  "$program" convert --from "$1" --to "$scratch/$dtype.gguf" --dtype "$dtype" >/dev/null
  "$venv/bin/python" "$here/check_llama_cpp.py" "$program" "$scratch/$dtype.gguf" 2>"$scratch/log" ||
    { tail -n 1 "$scratch/log"; failed=1; }
done
exit $failed
