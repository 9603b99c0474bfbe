#!/usr/bin/env bash
# Called by smollm2.sh: smollm2_transformers.sh AUTARKY F32_FOLDER F16_FOLDER
# Log-probabilities of a text from `autarky score` and from Hugging Face transformers, both in f32.
# Prints "skipped: REASON" last where torch or transformers cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
autarky=$1 f32=$2 f16=$3
python=/usr/bin/python3    # Debian's own: the one that python3-torch belongs to
packages=(transformers==4.45.2 'numpy<2')
skip() { echo "transformers: skipped, $*"; exit 0; }

"$python" -c 'import torch' 2>/dev/null || skip "$python has no torch (apt-get install python3-torch)"
modules=${AUTARKY_CACHE:-$HOME/.cache/autarky}/transformers-4.45.2
if [ ! -d "$modules" ]; then
  "$python" -m pip --version >/dev/null 2>&1 || skip "$python has no pip (apt-get install python3-pip)"
  rm -rf "$modules.part"
  "$python" -m pip install --quiet --only-binary :all: --target "$modules.part" "${packages[@]}" \
    >/dev/null 2>&1 || skip "pip cannot install ${packages[*]}"
  mv "$modules.part" "$modules"
fi
export HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$modules
"$python" - "$autarky" "$f32" "$f16" <<'PYTHON'
import json
import subprocess
import sys

import torch
import transformers

program, f32, f16 = sys.argv[1:]
TEXT = "The sea is never quite still, and neither is the light that falls on it in the morning."
BOUNDS = {"F32": 1e-3, "F16": 1e-3}  # of |difference|: both sides hold the same numbers, in f32
tokenizer = transformers.AutoTokenizer.from_pretrained(f32)
ids = tokenizer(TEXT)["input_ids"]
scores = {}
for name, folder in (("F32", f32), ("F16", f16)):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    theirs = [logits[i, t].item() for i, t in enumerate(ids[1:])]
    out = subprocess.run([program, "score", "--model", folder, "--tokens", ",".join(map(str, ids)),
                          "--dtype", "f32", "--json"], capture_output=True, text=True, check=True)
    ours = json.loads(out.stdout.splitlines()[-1])["logprobs"]
    scores[name] = max(abs(a - b) for a, b in zip(ours, theirs))
    if len(ours) != len(theirs) or not scores[name] <= BOUNDS[name]:
        sys.exit(f"transformers: {name} differs by {scores[name]:.2e}, bound {BOUNDS[name]}")
print(f"transformers: {len(ids) - 1} log-probabilities of a text, largest difference "
      + ", ".join(f"{n} {d:.1e}" for n, d in scores.items()))
PYTHON
