#!/usr/bin/env bash
# Models go over to Hugging Face transformers and back with the same log-probabilities. By hand
# only: it wants what with_transformers.sh wants.
#   tests/golden/check_transformers.sh
# Exit codes: 0 all within bounds, or "skipped: REASON"; 1 something differs; 2 no program built.
set -euo pipefail
cd "$(dirname "$0")/../.."

program=${AUTARKY_BUILD_DIR:-build}/autarky
[ -x "$program" ] || { echo "check_transformers: no $program: ./dev build makes it" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HF_HOME=$scratch/hub XDG_CACHE_HOME=$scratch/cache
tests/golden/with_transformers.sh tests/golden/check_transformers.py "$program" "$scratch"
