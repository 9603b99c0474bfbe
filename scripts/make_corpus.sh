#!/usr/bin/env bash
# Makes a clean bilingual corpus of about 12 MB: OUT_DIR/english.jsonl and OUT_DIR/chinese.jsonl, one
# {"text": ...} a line. A complete OUT_DIR is left as it is.
#   scripts/make_corpus.sh OUT_DIR
#
# English: the manuals of Perl (perl-doc). Chinese: all of fortunes-zh, twice, and the manual pages of
# manpages-zh whose text is Chinese: nearly half of the bytes, a third in Chinese characters. The
# packages are downloaded and unpacked into a cache folder, so no root is needed and the machine stays
# as it is (minimal Debian images leave manuals out when a package is installed).
set -euo pipefail
[ $# = 1 ] || { echo "usage: scripts/make_corpus.sh OUT_DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
cache=$here/../.cache/corpus
stamp=$out/complete

version=$(cat "$here/make_corpus.sh" "$here/corpus.pl" | cksum)
if [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$version" ] &&
   [ -s "$out/english.jsonl" ] && [ -s "$out/chinese.jsonl" ]; then
  tail -n +2 "$stamp"
  exit 0
fi

mapfile -t packages < <(awk '$1 == "text" { print $2 }' "$here/packages.txt")
"$here/setup.sh" corpus
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# Downloads with the machine's package lists or, where it has none, with lists of our own.
download() {
  local log=$cache/download.log state=$cache/apt
  cd "$cache"
  apt-get -q -o APT::Sandbox::User=root download "${packages[@]}" >"$log" 2>&1 && return
  mkdir -p "$state/lists/partial" "$state/archives/partial"
  local own=(-q -o APT::Sandbox::User=root -o Dir::State="$state" -o Dir::State::Lists="$state/lists"
             -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$state"
             -o Dir::Cache::archives="$state/archives")
  { apt-get "${own[@]}" update && apt-get "${own[@]}" download "${packages[@]}"; } >>"$log" 2>&1
}

# Prints the folder that holds usr/share/... of all packages.
package_tree() {
  local tree=$cache/tree package
  [ -e "$cache/tree.complete" ] && { echo "$tree"; return; }
  rm -rf "$tree" "$cache"/*.deb
  if command -v apt-get >/dev/null && download; then
    for package in "${packages[@]}"; do
      dpkg-deb -x "$cache/$package"_*.deb "$tree"
    done
    rm -f "$cache"/*.deb
    touch "$cache/tree.complete"
    echo "$tree"
  elif compgen -G '/usr/share/perl/*/pod/perlfunc.pod' >/dev/null &&
       compgen -G '/usr/share/man/zh_CN/man1/*.gz' >/dev/null &&
       [ -s /usr/share/games/fortunes/chinese ]; then
    echo /    # not to be downloaded, but installed
  else
    [ ! -s "$cache/download.log" ] || tail -n 5 "$cache/download.log" >&2
    echo "make_corpus: cannot download ${packages[*]}: is there a network? (log: $cache/download.log)" >&2
    echo "To train on your own text instead, see README.md." >&2
    return 1
  fi
}

tree=$(package_tree)
counts=$(perl "$here/corpus.pl" "$tree" "$out")
printf '%s\n%s\n' "$version" "$counts" >"$stamp.part"
mv "$stamp.part" "$stamp"
echo "$counts"
