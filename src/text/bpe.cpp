#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace autarky {
namespace {

constexpr std::size_t kShort = 48;  // bytes up to which scanning for the least rank is quicker
constexpr std::uint32_t kNoRank = ~0u;

}  // namespace

Bpe::Bpe(std::span<const std::string_view> tokens, std::span<const MergeRule> merges,
         bool ignore_merges)
    : merges_(merges.size()) {
  for (std::size_t id = 0; id < tokens.size(); ++id)
    if (tokens[id].size() == 1)
      byte_ids_[static_cast<unsigned char>(tokens[id][0])] = std::int32_t(id);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const MergeRule& m = merges[rank];
    merges_.at(pair_key(m.left, m.right)) = {std::uint32_t(rank), m.result};
  }
  std::vector<std::int32_t> ids;
  whole_.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty() || tokens[id].size() > kMaxPiece) continue;
    ids.clear();
    if (!ignore_merges) merge_piece(tokens[id], ids);
    if (ignore_merges || (ids.size() == 1 && ids[0] == std::int32_t(id)))
      whole_.insert_or_assign(tokens[id], std::int32_t(id));
  }
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& out) const {
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, kMaxPiece);
    if (const auto token = whole_.find(part); token != whole_.end()) out.push_back(token->second);
    else merge_piece(part, out);
    piece.remove_prefix(part.size());
  }
}

std::uint32_t Bpe::rank_of(std::int32_t left, std::int32_t right) const {
  const Merge* merge = merges_.find(pair_key(left, right));
  return merge ? merge->rank : kNoRank;
}

void Bpe::merge_piece(std::string_view piece, std::vector<std::int32_t>& out) const {
  piece.size() <= kShort ? merge_short(piece, out) : merge_long(piece, out);
}

// Arrays of ids and of the rank of each pair (i, i + 1): find the least, merge, close the gap.
void Bpe::merge_short(std::string_view piece, std::vector<std::int32_t>& out) const {
  std::array<std::int32_t, kShort> ids;
  std::array<std::uint32_t, kShort> ranks;
  std::size_t n = piece.size();
  for (std::size_t i = 0; i < n; ++i) ids[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = rank_of(ids[i], ids[i + 1]);
  while (n > 1) {
    const auto least = std::min_element(ranks.begin(), ranks.begin() + std::ptrdiff_t(n - 1));
    if (*least == kNoRank) break;
    const auto at = std::size_t(least - ranks.begin());
    ids[at] = merges_.find(pair_key(ids[at], ids[at + 1]))->result;
    std::copy(ids.begin() + at + 2, ids.begin() + n, ids.begin() + at + 1);
    std::copy(ranks.begin() + at + 1, ranks.begin() + n - 1, ranks.begin() + at);
    --n;
    if (at + 1 < n) ranks[at] = rank_of(ids[at], ids[at + 1]);
    if (at > 0) ranks[at - 1] = rank_of(ids[at - 1], ids[at]);
  }
  out.insert(out.end(), ids.begin(), ids.begin() + n);
}

// A linked list of symbols and a heap of (rank, position); entries that no longer hold are skipped.
void Bpe::merge_long(std::string_view piece, std::vector<std::int32_t>& out) const {
  constexpr std::uint32_t kEnd = ~0u;
  constexpr std::int32_t kGone = -1;
  struct Symbol {
    std::int32_t id;
    std::uint32_t previous, next;
  };
  const auto n = std::uint32_t(piece.size());
  std::vector<Symbol> symbols(n);
  for (std::uint32_t i = 0; i < n; ++i)
    symbols[i] = {byte_ids_[static_cast<unsigned char>(piece[i])], i == 0 ? kEnd : i - 1,
                  i + 1 == n ? kEnd : i + 1};
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
  for (std::uint32_t i = 0; i != kEnd; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace autarky
