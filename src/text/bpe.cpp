#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "text/utf8.h"

namespace autarky {
namespace {

constexpr std::size_t kShort = 48;  // symbols up to which scanning for the least rank is quicker
constexpr std::uint32_t kNoRank = ~0u;
constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, a space of SentencePiece

// The first kSpace that follows another character; text.size() if there is none.
std::size_t next_word(std::string_view text) {
  std::size_t at = 0;
  while (text.substr(at).starts_with(kSpace)) at += kSpace.size();
  return std::min(text.find(kSpace, at), text.size());
}

}  // namespace

Bpe::Bpe(std::span<const std::string_view> tokens, std::span<const MergeRule> merges,
         const BpeSymbols& symbols, bool ignore_merges)
    : symbols_(symbols), merges_(merges.size()), ignore_merges_(ignore_merges) {
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens[id];
    std::size_t end = 0;
    if (token.size() == 1) {
      byte_ids_[static_cast<unsigned char>(token[0])] = std::int32_t(id);
    } else if (!symbols.bytes && !token.empty() && valid_utf8_prefix(token) == token.size()) {
      const char32_t c = next_code_point(token, end);
      if (end == token.size()) character_ids_.at(pair_key(std::int32_t(c), 0)) = std::int32_t(id);
    }
  }
  words_ = !symbols.bytes && symbol_of(kSpace) >= 0;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const MergeRule& m = merges[rank];
    merges_.at(pair_key(m.left, m.right)) = {std::uint32_t(rank), m.result};
    const std::string_view result = tokens[std::size_t(m.result)];
    words_ = words_ && !result.empty() && next_word(result) == result.size();
  }
  find_words(tokens);
}

void Bpe::find_words(std::span<const std::string_view> tokens) {
  std::vector<std::int32_t> ids;
  whole_.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty() || tokens[id].size() > kMaxPiece) continue;
    ids.clear();
    if (!ignore_merges_) {
      start(tokens[id], ids);
      merge(ids, 0);
    }
    if (ignore_merges_ || (ids.size() == 1 && ids[0] == std::int32_t(id)))
      whole_.insert_or_assign(tokens[id], std::int32_t(id));
  }
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& out) const {
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, part_end(piece));
    encode_part(part, out);
    piece.remove_prefix(part.size());
  }
}

std::size_t Bpe::part_end(std::string_view piece) const {
  if (words_ && !ignore_merges_) piece = piece.substr(0, next_word(piece));
  if (piece.size() <= kMaxPiece) return piece.size();
  return symbols_.bytes ? kMaxPiece : utf8_floor(piece, kMaxPiece);
}

void Bpe::encode_part(std::string_view part, std::vector<std::int32_t>& out) const {
  if (const auto token = whole_.find(part); token != whole_.end()) {
    out.push_back(token->second);
    return;
  }
  const std::size_t first = out.size();
  start(part, out);
  merge(out, first);
}

std::int32_t Bpe::symbol_of(std::string_view character) const {
  if (character.size() == 1) return byte_ids_[static_cast<unsigned char>(character[0])];
  std::size_t at = 0;
  const auto c = std::int32_t(next_code_point(character, at));
  const std::int32_t* id = character_ids_.find(pair_key(c, 0));
  return id ? *id : -1;
}

// Appends the symbols of a part. An unk waits for its neighbours, which may be fused with it; bytes
// that stand for a character do not end the wait, as in the library that files are made with.
void Bpe::start(std::string_view part, std::vector<std::int32_t>& out) const {
  bool waiting = false;
  for (std::size_t at = 0, end = 0; at < part.size(); at = end) {
    if (symbols_.bytes || valid_utf8_prefix(part.substr(at, 4)) == 0) ++end;
    else next_code_point(part, end);
    const std::string_view character = part.substr(at, end - at);
    const auto byte_id = [&](char c) { return symbols_.fallback[static_cast<unsigned char>(c)]; };
    const auto has_id = [&](char c) { return byte_id(c) >= 0; };
    if (const std::int32_t id = symbol_of(character); id >= 0) {
      if (std::exchange(waiting, false)) out.push_back(symbols_.unk);
      out.push_back(id);
    } else if (std::all_of(character.begin(), character.end(), has_id)) {
      for (const char c : character) out.push_back(byte_id(c));
    } else if (symbols_.unk >= 0) {
      if (waiting && !symbols_.fuse_unk) out.push_back(symbols_.unk);
      waiting = true;
    }
  }
  if (waiting) out.push_back(symbols_.unk);
}

std::uint32_t Bpe::rank_of(std::int32_t left, std::int32_t right) const {
  const Merge* merge = merges_.find(pair_key(left, right));
  return merge ? merge->rank : kNoRank;
}

void Bpe::merge(std::vector<std::int32_t>& out, std::size_t first) const {
  out.size() - first <= kShort ? merge_short(out, first) : merge_long(out, first);
}

// The ids from `first` on and the rank of each pair (i, i + 1): find the least, merge, close the
// gap.
void Bpe::merge_short(std::vector<std::int32_t>& out, std::size_t first) const {
  std::array<std::uint32_t, kShort> ranks;
  std::int32_t* ids = out.data() + first;
  std::size_t n = out.size() - first;
  for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = rank_of(ids[i], ids[i + 1]);
  while (n > 1) {
    const auto least = std::min_element(ranks.begin(), ranks.begin() + std::ptrdiff_t(n - 1));
    if (*least == kNoRank) break;
    const auto at = std::size_t(least - ranks.begin());
    ids[at] = merges_.find(pair_key(ids[at], ids[at + 1]))->result;
    std::copy(ids + at + 2, ids + n, ids + at + 1);
    std::copy(ranks.begin() + at + 1, ranks.begin() + n - 1, ranks.begin() + at);
    --n;
    if (at + 1 < n) ranks[at] = rank_of(ids[at], ids[at + 1]);
    if (at > 0) ranks[at - 1] = rank_of(ids[at - 1], ids[at]);
  }
  out.resize(first + n);
}

// A linked list of symbols and a heap of (rank, position); entries that no longer hold are skipped.
void Bpe::merge_long(std::vector<std::int32_t>& out, std::size_t first) const {
  constexpr std::uint32_t kEnd = ~0u;
  constexpr std::int32_t kGone = -1;
  struct Symbol {
    std::int32_t id;
    std::uint32_t previous, next;
  };
  const auto n = std::uint32_t(out.size() - first);
  std::vector<Symbol> symbols(n);
  for (std::uint32_t i = 0; i < n; ++i)
    symbols[i] = {out[first + i], i == 0 ? kEnd : i - 1, i + 1 == n ? kEnd : i + 1};
  out.resize(first);
  const auto rank_at = [&](std::uint32_t i) {
    const Symbol& s = symbols[i];
    return s.id == kGone || s.next == kEnd ? kNoRank : rank_of(s.id, symbols[s.next].id);
  };

  std::vector<std::uint64_t> entries;  // rank in the upper half
  for (std::uint32_t i = 0; i < n; ++i)
    if (const auto rank = rank_at(i); rank != kNoRank)
      entries.push_back((std::uint64_t(rank) << 32) | i);
  std::priority_queue heap(std::greater<std::uint64_t>{}, std::move(entries));
  const auto offer = [&](std::uint32_t i) {
    if (const auto rank = rank_at(i); rank != kNoRank) heap.push((std::uint64_t(rank) << 32) | i);
  };
  while (!heap.empty()) {
    const std::uint64_t top = heap.top();
    heap.pop();
    const auto at = std::uint32_t(top & 0xFFFFFFFFu);
    if (rank_at(at) != std::uint32_t(top >> 32)) continue;
    Symbol& left = symbols[at];
    Symbol& right = symbols[left.next];
    left.id = merges_.find(pair_key(left.id, right.id))->result;
    right.id = kGone;
    left.next = right.next;
    if (left.next != kEnd) symbols[left.next].previous = at;
    offer(at);
    if (left.previous != kEnd) offer(left.previous);
  }
  for (std::uint32_t i = 0; i != kEnd && n > 0; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace autarky
