#!/usr/bin/env bash
# llama.cpp loads our GGUF and goes on with a text by the same greedy 32 tokens. By hand only: it
# wants PyPI, builds llama-cpp-python from source the first time (long), and a model:
#   tests/golden/check_llama_cpp.sh MODEL      a folder or a .gguf file, such as the one that
#                                              examples/smollm2.sh leaves in its cache
# Exit codes: 0 the same tokens, or "skipped: REASON"; 1 others; 2 wrong use.
set -euo pipefail
cd "$(dirname "$0")/../.."

program=${AUTARKY_BUILD_DIR:-build}/autarky
venv=${AUTARKY_CACHE:-$HOME/.cache/autarky}/llama_cpp
[ $# -eq 1 ] || { sed -n 2,6p "$0" >&2; exit 2; }
[ -x "$program" ] || { echo "check_llama_cpp: no $program: ./dev build makes it" >&2; exit 2; }
if ! "$venv/bin/python" -c 'import llama_cpp' 2>/dev/null; then
  python3 -m venv "$venv"
  CMAKE_BUILD_PARALLEL_LEVEL=1 nice "$venv/bin/pip" install --quiet llama-cpp-python==0.3.* ||
    { echo "skipped: pip cannot install llama-cpp-python"; exit 0; }
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for dtype in f32 q8_0; do
  "$program" convert --from "$1" --to "$scratch/$dtype.gguf" --dtype "$dtype"
  "$venv/bin/python" - "$program" "$scratch/$dtype.gguf" <<'PYTHON'
import json
import subprocess
import sys

import llama_cpp

program, path = sys.argv[1:]
TEXT = "The sea is never quite still, and"
model = llama_cpp.Llama(path, n_ctx=256, logits_all=False, verbose=False)
prompt = model.tokenize(TEXT.encode(), add_bos=False, special=True)
theirs = []
for token in model.generate(prompt, temp=0.0, repeat_penalty=1.0):
    if token == model.token_eos() or len(theirs) == 32:
        break
    theirs.append(token)
out = subprocess.run([program, "generate", "--model", path, "--prompt", TEXT, "--greedy", "--dtype",
                      "f32", "--max-new-tokens", "32", "--json"], capture_output=True, text=True,
                     check=True)
ours = json.loads(out.stdout.splitlines()[-1])["tokens"]
print(f"check_llama_cpp: {path.rsplit('/', 1)[1]}: {len(ours)} tokens:", model.detokenize(ours).decode())
if ours != theirs:
    sys.exit(f"check_llama_cpp: others: ours {ours}, theirs {theirs}")
PYTHON
done
