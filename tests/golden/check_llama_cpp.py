"""One GGUF in llama.cpp and in ours; run by check_llama_cpp.sh.

usage: check_llama_cpp.py PROGRAM MODEL.gguf

Both choose the same 32 greedy tokens, else exit code 1 with the place where they part and how far
apart ours finds the two. Says how far apart the log-probabilities of llama.cpp's tokens are.
"""
import json
import subprocess
import sys

import xllamacpp

program, path = sys.argv[1:]
TEXT, COUNT = "The sea is never quite still, and", 32
name = path.rsplit("/", 1)[1]


def autarky(verb, *arguments):
    out = subprocess.run([program, verb, "--model", path, "--dtype", "f32", "--json", *arguments],
                         capture_output=True, text=True, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def score(tokens):
    return autarky("score", "--tokens", ",".join(map(str, tokens)))["logprobs"]


params = xllamacpp.CommonParams()
params.model.path = path
params.n_ctx, params.n_parallel, params.warmup = 256, 1, False
params.cache_type_k = params.cache_type_v = 0    # keys and values in F32 (GGML_TYPE_F32), not F16
params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
answer = xllamacpp.Server(params).handle_completions(
    {"prompt": TEXT, "n_predict": COUNT, "temperature": 0.0, "top_k": 1, "repeat_penalty": 1.0,
     "logprobs": 1})["choices"][0]
theirs = [step["id"] for step in answer["logprobs"]["content"]]
made = autarky("generate", "--prompt", TEXT, "--greedy", "--max-new-tokens", str(COUNT))
prompt, ours = made["prompt_tokens"], made["tokens"]
if len(theirs) != COUNT or len(ours) != COUNT:
    sys.exit(f"check_llama_cpp: {name}: {len(ours)} tokens of ours, {len(theirs)} of llama.cpp")

scored = score(prompt + theirs)[len(prompt) - 1:]
apart = max(abs(a - step["logprob"]) for a, step in zip(scored, answer["logprobs"]["content"]))

same = next((i for i in range(COUNT) if ours[i] != theirs[i]), COUNT)
if same < COUNT:
    margin = score(prompt + ours[:same + 1])[-1] - scored[same]
    sys.exit(f"check_llama_cpp: {name}: the same {same} tokens, then two that are {margin:.2g} apart; "
             f"log-probabilities within {apart:.2g}: ours {made['text']!r}, theirs {answer['text']!r}")
print(f"check_llama_cpp: {name}: the same {COUNT} tokens {made['text']!r}; "
      f"log-probabilities within {apart:.2g}")
