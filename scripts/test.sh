#!/usr/bin/env bash
# Set-up, build and all fast tests; ends with one line that says so.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! ./dev test 2>&1 | tee "$log"; then
  echo "scripts/test.sh: FAILED after $SECONDS s, see above"
  exit 1
fi
summary=$(grep -E '^[0-9]+% tests passed' "$log" | tail -n 1)
echo "scripts/test.sh: $summary, in $SECONDS s with set-up and build"
