"""Called by smollm2.sh, which hands it to tests/golden/with_transformers.sh:
smollm2_transformers.py AUTARKY F32_FOLDER F16_FOLDER SOURCE_FOLDER TEXT_FILE WINDOW PERPLEXITY

Log-probabilities of a sentence from `autarky score` and from Hugging Face transformers, both in f32,
for the first two folders; then the source's perplexity on a text in windows of that many tokens.
"""
import json
import math
import subprocess
import sys

import old_torch  # noqa: F401
import torch
import transformers

program, f32, f16, source, text_file, window, perplexity = sys.argv[1:]
TEXT = "The sea is never quite still, and neither is the light that falls on it in the morning."
BOUND = 1e-3  # of |difference|: both sides hold the same numbers, in f32
PERPLEXITY_BOUND = 1e-3  # relative


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=torch.float32, attn_implementation="eager")


def log_probabilities(model, ids):
    """Of ids[1:], each after all before it."""
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)
    return logits[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]


def largest_difference(folder, ids):
    theirs = log_probabilities(load(folder), ids).tolist()
    out = subprocess.run([program, "score", "--model", folder, "--tokens", ",".join(map(str, ids)),
                          "--dtype", "f32", "--json"], capture_output=True, text=True, check=True)
    ours = json.loads(out.stdout.splitlines()[-1])["logprobs"]
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    return max(abs(a - b) for a, b in zip(ours, theirs))


def their_perplexity():
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    ids = tokenizer(open(text_file).read())["input_ids"] + [tokenizer.eos_token_id]
    model, width, total = load(source), int(window), 0.0
    for first in range(0, len(ids) - 1, width):
        total += log_probabilities(model, ids[first:first + width + 1]).sum().item()
    return math.exp(-total / (len(ids) - 1))


sentence = transformers.AutoTokenizer.from_pretrained(f32)(TEXT)["input_ids"]
scores = {name: largest_difference(folder, sentence) for name, folder in (("F32", f32), ("F16", f16))}
for name, difference in scores.items():
    if not difference <= BOUND:
        sys.exit(f"transformers: {name} differs by {difference:.2e}, bound {BOUND}")
theirs = their_perplexity()
if not abs(theirs / float(perplexity) - 1) <= PERPLEXITY_BOUND:
    sys.exit(f"transformers: perplexity {theirs:.3f}, ours {perplexity}")
print(f"transformers: {len(sentence) - 1} log-probabilities of a sentence, largest difference "
      + ", ".join(f"{n} {d:.1e}" for n, d in scores.items()) + f"; perplexity {theirs:.2f} there")
