#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "text/utf8.h"

namespace autarky {
namespace {

constexpr std::size_t kShort = 64;  // symbols up to which scanning for the least rank is quicker
constexpr std::uint32_t kNoRank = HashIndex::kNone;
constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, a space of SentencePiece

std::uint64_t pair_hash(std::int32_t left, std::int32_t right) {
  const std::uint64_t h = pair_key(left, right) * 0x9E3779B97F4A7C15ull;
  return h ^ h >> 32;
}

// The first kSpace that follows another character; text.size() if there is none.
std::size_t next_word(std::string_view text) {
  std::size_t at = 0;
  while (text.substr(at).starts_with(kSpace)) at += kSpace.size();
  return std::min(text.find(kSpace, at), text.size());
}

}  // namespace

// A list of at most kShort symbols. Each that has a right neighbour may offer a merge with it: its
// rank and, below, its place, so that the least offer is the one to take.
struct Bpe::ShortPiece {
  static constexpr std::int32_t kNoOffer = std::numeric_limits<std::int32_t>::max();
  static constexpr std::size_t kMaxMerges = std::size_t(kNoOffer) / kShort;

  explicit ShortPiece(std::size_t n) : size(n) {
    for (std::size_t i = 0; i < n; ++i) {
      next[i] = std::uint8_t(i + 1);
      previous[i] = std::uint8_t(i - 1);
    }
    for (std::size_t i = 0; i < groups(); ++i) offers[i] = Four{} + kNoOffer;
  }

  void offer(std::size_t at, std::uint32_t rank) {
    offers[at / 4][at % 4] = rank == kNoRank ? kNoOffer : std::int32_t(rank * kShort + at);
  }
  std::int32_t least() const {
    Four best = offers[0];
    const auto take = [&](Four other) { best = other < best ? other : best; };  // no branch
    for (std::size_t i = 1; i < groups(); ++i) take(offers[i]);
    take(Four{best[2], best[3], best[0], best[1]});
    take(Four{best[1], best[0], best[3], best[2]});
    return best[0];
  }
  // Takes out the right neighbour; returns the place behind it.
  std::size_t join(std::size_t at) {
    const std::size_t gone = next[at], end = next[gone];
    offer(at, kNoRank);
    offer(gone, kNoRank);
    next[at] = std::uint8_t(end);
    if (end < size) previous[end] = std::uint8_t(at);
    return end;
  }
  void append_to(std::vector<std::int32_t>& out) const {
    for (std::size_t i = 0; i < size; i = next[i]) out.push_back(ids[i]);
  }

  using Four = std::int32_t __attribute__((vector_size(16)));
  std::size_t groups() const { return (size + 3) / 4; }

  std::size_t size;
  Four offers[kShort / 4];
  std::int32_t ids[kShort];
  std::uint8_t next[kShort], previous[kShort];
};

Bpe::Bpe(std::span<const std::string_view> tokens, std::span<const MergeRule> merges,
         const BpeSymbols& symbols, bool ignore_merges)
    : symbols_(symbols),
      merges_(merges.begin(), merges.end()),
      ranks_(merges.size()),
      words_(tokens.size()),
      word_ids_(tokens.size()),
      short_(merges.size() <= ShortPiece::kMaxMerges ? kShort : 0),
      ignore_merges_(ignore_merges) {
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
  cuts_words_ = !symbols.bytes && symbol_of(kSpace) >= 0;
  for (const MergeRule& m : merges) {
    const std::string_view result = tokens[std::size_t(m.result)];
    cuts_words_ = cuts_words_ && !result.empty() && next_word(result) == result.size();
  }
  find_merges();
  find_byte_pairs();
  find_words(tokens);
}

// Of a pair that is there twice the later rank counts.
void Bpe::find_merges() {
  for (std::size_t rank = merges_.size(); rank-- > 0;)
    if (const MergeRule& m = merges_[rank]; rank_of(m.left, m.right) == kNoRank)
      ranks_.add(pair_hash(m.left, m.right), std::uint32_t(rank));
}

void Bpe::find_byte_pairs() {
  if (!symbols_.bytes || std::count(byte_ids_.begin(), byte_ids_.end(), -1) > 0) return;
  byte_ranks_.reserve(byte_ids_.size() * byte_ids_.size());
  for (const std::int32_t left : byte_ids_)
    for (const std::int32_t right : byte_ids_) byte_ranks_.push_back(rank_of(left, right));
}

void Bpe::find_words(std::span<const std::string_view> tokens) {
  std::vector<std::int32_t> ids;
  for (std::size_t id = tokens.size(); id-- > 0;) {  // of equal ones the last
    if (tokens[id].empty() || tokens[id].size() > kMaxPiece || word_id(tokens[id]) >= 0) continue;
    ids.clear();
    if (!ignore_merges_) {
      start(tokens[id], ids);
      merge(ids, 0);
    }
    if (!ignore_merges_ && (ids.size() != 1 || ids[0] != std::int32_t(id))) continue;
    words_[id] = tokens[id];
    word_ids_.add(short_hash(tokens[id]), std::uint32_t(id));
  }
}

std::int32_t Bpe::word_id(std::string_view part) const {
  const auto id =
      word_ids_.find(short_hash(part), [&](std::uint32_t i) { return words_[i] == part; });
  return std::int32_t(id);  // kNone is -1
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& out) const {
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, part_end(piece));
    encode_part(part, out);
    piece.remove_prefix(part.size());
  }
}

std::size_t Bpe::part_end(std::string_view piece) const {
  if (cuts_words_ && !ignore_merges_) piece = piece.substr(0, next_word(piece));
  if (piece.size() <= kMaxPiece) return piece.size();
  return symbols_.bytes ? kMaxPiece : utf8_floor(piece, kMaxPiece);
}

void Bpe::encode_part(std::string_view part, std::vector<std::int32_t>& out) const {
  if (const std::int32_t id = word_id(part); id >= 0) return out.push_back(id);
  if (!byte_ranks_.empty() && part.size() <= short_) return encode_bytes(part, out);
  const std::size_t first = out.size();
  start(part, out);
  merge(out, first);
}

// A short part whose bytes all are tokens.
void Bpe::encode_bytes(std::string_view part, std::vector<std::int32_t>& out) const {
  ShortPiece p(part.size());
  const auto byte = [&](std::size_t i) { return std::size_t(static_cast<unsigned char>(part[i])); };
  for (std::size_t i = 0; i < part.size(); ++i) p.ids[i] = byte_ids_[byte(i)];
  for (std::size_t i = 0; i + 1 < part.size(); ++i)
    p.offer(i, byte_ranks_[byte(i) << 8 | byte(i + 1)]);
  merge_short(p);
  p.append_to(out);
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

inline std::uint32_t Bpe::rank_of(std::int32_t left, std::int32_t right) const {
  return ranks_.find(pair_hash(left, right), [&](std::uint32_t rank) {
    return merges_[rank].left == left && merges_[rank].right == right;
  });
}

void Bpe::merge(std::vector<std::int32_t>& out, std::size_t first) const {
  const std::size_t n = out.size() - first;
  if (n < 2) return;
  if (n > short_) return merge_long(out, first);
  ShortPiece p(n);
  std::copy(out.begin() + std::ptrdiff_t(first), out.end(), p.ids);
  for (std::size_t i = 0; i + 1 < n; ++i) p.offer(i, rank_of(p.ids[i], p.ids[i + 1]));
  merge_short(p);
  out.resize(first);
  p.append_to(out);
}

void Bpe::merge_short(ShortPiece& p) const {
  for (std::int32_t least = p.least(); least != ShortPiece::kNoOffer; least = p.least()) {
    const std::size_t at = std::size_t(least) % kShort, end = p.join(at);
    p.ids[at] = merges_[std::size_t(least) / kShort].result;
    if (end < p.size) p.offer(at, rank_of(p.ids[at], p.ids[end]));
    if (at > 0) {
      const std::size_t before = p.previous[at];
      p.offer(before, rank_of(p.ids[before], p.ids[at]));
    }
  }
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
    left.id = merges_[top >> 32].result;
    right.id = kGone;
    left.next = right.next;
    if (left.next != kEnd) symbols[left.next].previous = at;
    offer(at);
    if (left.previous != kEnd) offer(left.previous);
  }
  for (std::uint32_t i = 0; i != kEnd && n > 0; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace autarky
