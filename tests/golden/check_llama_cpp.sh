#!/usr/bin/env bash
# llama.cpp loads our GGUF and goes on with a text by the same greedy 32 tokens. By hand only: it
# wants PyPI the first time (xllamacpp, which ships llama.cpp built), and a model:
#   tests/golden/check_llama_cpp.sh MODEL      a folder or a .gguf file, such as the one that
#                                              examples/smollm2.sh leaves in its cache
# Exit codes: 0 the same tokens, or "skipped: REASON"; 1 others; 2 wrong use.
set -euo pipefail
cd "$(dirname "$0")/../.."

program=${AUTARKY_BUILD_DIR:-build}/autarky
venv=${AUTARKY_CACHE:-$HOME/.cache/autarky}/llama_cpp
[ $# -eq 1 ] || { sed -n 2,6p "$0" >&2; exit 2; }
[ -x "$program" ] || { echo "check_llama_cpp: no $program: ./dev build makes it" >&2; exit 2; }
if ! "$venv/bin/python" -c 'import xllamacpp' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --only-binary :all: xllamacpp ||
    { echo "skipped: pip cannot install xllamacpp"; exit 0; }
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for dtype in f32 q8_0; do
  "$program" convert --from "$1" --to "$scratch/$dtype.gguf" --dtype "$dtype" >/dev/null
  "$venv/bin/python" - "$program" "$scratch/$dtype.gguf" 2>"$scratch/log" <<'PYTHON' || { tail -n 3 "$scratch/log"; exit 1; }
import json
import subprocess
import sys

import xllamacpp

program, path = sys.argv[1:]
TEXT = "The sea is never quite still, and"
params = xllamacpp.CommonParams()
params.model.path = path
params.n_ctx, params.n_parallel, params.warmup = 256, 1, False
theirs = xllamacpp.Server(params).handle_completions(
    {"prompt": TEXT, "n_predict": 32, "temperature": 0.0, "top_k": 1, "repeat_penalty": 1.0})
out = subprocess.run([program, "generate", "--model", path, "--prompt", TEXT, "--greedy", "--dtype",
                      "f32", "--max-new-tokens", "32", "--json"], capture_output=True, text=True,
                     check=True)
ours = json.loads(out.stdout.splitlines()[-1])
count, text = theirs["usage"]["completion_tokens"], theirs["choices"][0]["text"]
name = path.rsplit("/", 1)[1]
if ours["text"] != text or len(ours["tokens"]) != count:
    sys.exit(f"check_llama_cpp: {name}: ours {ours['text']!r}, theirs {count} tokens {text!r}")
print(f"check_llama_cpp: {name}: the same {count} tokens: {text!r}")
PYTHON
done
