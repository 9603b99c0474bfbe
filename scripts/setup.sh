#!/usr/bin/env bash
# Installs the packages that are missing, and only those.
#   scripts/setup.sh [GROUP...]    groups of packages.txt; build and corpus by default
# As root or with passwordless sudo it calls apt-get; otherwise it prints the line to run and exits 1.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- build corpus

wanted=()
for group in "$@"; do
  mapfile -t of_group < <(awk -v group="$group" '$1 == group { print $2 }' packages.txt)
  [ ${#of_group[@]} -gt 0 ] || { echo "setup: packages.txt has no group '$group'" >&2; exit 2; }
  wanted+=("${of_group[@]}")
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "setup: no apt-get here, so nothing is checked. Needed, by their Debian names: ${wanted[*]}" >&2
  exit 0
fi

# Prints the wanted packages that are not installed.
missing_packages() {
  { dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true; } |
    awk -v wanted="${wanted[*]}" '
      $2 == "installed" { installed[$1] = 1 }
      END {
        n = split(wanted, names, " ")
        for (i = 1; i <= n; i++) if (!installed[names[i]]) print names[i]
      }'
}

mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  echo "setup: missing packages: ${missing[*]}" >&2
  echo "Run this as root (or with sudo), then start again:" >&2
  echo "  apt-get update && apt-get install --no-install-recommends -y ${missing[*]}" >&2
  exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" \
    >"$log" 2>&1 </dev/null && return
  tail -n 20 "$log" >&2
  echo "setup: 'apt-get $*' failed, see above" >&2
  exit 1
}

echo "setup: installing ${missing[*]}"
apt update
apt install -y --no-install-recommends "${missing[@]}"
echo "setup: installed ${#missing[@]} packages in $SECONDS s"
