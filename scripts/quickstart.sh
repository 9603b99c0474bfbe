#!/usr/bin/env bash
# From nothing to a trained bilingual model that writes.
#   scripts/quickstart.sh [--section.key=value ...]    changes of recipes/quickstart.yaml
# Whatever is done already is not done again: after an interruption the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/.."

autarky=${AUTARKY_BUILD_DIR:-build}/autarky
recipe=recipes/quickstart.yaml
data=data/quickstart
run=runs/quickstart
for override in "$@"; do
  case "$override" in
    --logging.run_dir=*) run=${override#*=} ;;
    --*.*=*) ;;
    *) echo "quickstart: '$override' is not of the form --section.key=value" >&2; exit 2 ;;
  esac
done
logs=$data/logs
mkdir -p "$logs"
trap 'echo; echo "quickstart: interrupted; the same command goes on from here"; exit 130' INT TERM

say() { printf '==> %s\n' "$*"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

# quiet NAME WHAT COMMAND...: runs with its output in a log, shows the end of it on failure.
quiet() {
  local name=$1 what=$2 start=$SECONDS log=$logs/$1.log
  shift 2
  say "$what"
  if ! "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "this step failed: $what (log: $log)"
  fi
  echo "    done in $((SECONDS - start)) s (log: $log)"
}

# once NAME WHAT INPUT OUTPUT COMMAND...: like quiet, unless OUTPUT was made by this command from this
# INPUT file.
once() {
  local name=$1 what=$2 input=$3 output=$4 stamp=$data/$1.done now
  shift 4
  now=$(echo "$*" | cat - "$input" | cksum)
  if [ -e "$output" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then
    say "$what: done before"
    return
  fi
  quiet "$name" "$what" "$@"
  echo "$now" >"$stamp"
}

show_counts() { grep '^  ' "$1" | sed 's/^/  /' || true; }

# A finished or interrupted run of the same settings is resumed; one of other settings is put aside.
train() {
  local settings=$run.settings now resume=() aside number=1
  now=$(echo "$*" | cat - "$recipe" "$data"/shards.done | cksum)
  if [ -e "$run" ] && [ "$(cat "$settings" 2>/dev/null)" != "$now" ]; then
    while [ -e "$run.$number" ]; do number=$((number + 1)); done
    aside=$run.$number
    mv "$run" "$aside"
    echo "    the run of other settings in $run is now $aside"
  fi
  mkdir -p "$(dirname "$run")"
  echo "$now" >"$settings"
  [ ! -e "$run/checkpoints/latest" ] || resume=(--resume)
  "$autarky" train "$recipe" "$@" "${resume[@]}"
}

# sample PROMPT
sample() {
  printf -- '--- %s\n' "$1"
  "$autarky" generate --model "$run/checkpoints/latest" --prompt "$1" --temperature 0.7 --top-k 40 \
    --repetition-penalty 1.1 --max-new-tokens 80 --seed 1 || fail "generate failed, see above"
  echo
}

say "Looking for missing packages"
scripts/setup.sh build corpus
quiet build "Building the program" ./dev build
quiet corpus "Making a corpus of English and Chinese text in $data/corpus" \
  scripts/make_corpus.sh "$data/corpus"
show_counts "$logs/corpus.log"
corpus=("$data/corpus/english.jsonl" "$data/corpus/chinese.jsonl")
once tokenizer "Training a tokenizer of 8192 tokens" "$data/corpus/complete" "$data/tokenizer" \
  "$autarky" tokenizer train --input "${corpus[@]}" --vocab-size 8192 --out "$data/tokenizer"
once shards "Turning the text into tokens" "$data/tokenizer.done" "$data/text_train.idx" \
  "$autarky" data build --input "${corpus[@]}" --tokenizer "$data/tokenizer" --out "$data/text" \
  --validation-fraction 0.02 --seed 1

say "Training $recipe $*"
start=$SECONDS
train "$@" || fail "training failed, see above"
echo "    done in $((SECONDS - start)) s"

say "Evaluating on the held-out documents"
"$autarky" eval --model "$run/checkpoints/latest" --data "$data/text_validation" --seq 256 ||
  fail "eval failed, see above"

say "What the model writes"
for prompt in 'The function returns' 'If you want to' '描述' '《'; do sample "$prompt"; done

say "Done in $SECONDS s"
echo "    report:     $run/report.html"
echo "    checkpoint: $run/checkpoints/latest"
echo "    more:       $autarky generate --model $run/checkpoints/latest --prompt 'In Perl, '"
