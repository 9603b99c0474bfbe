// Byte pair encoding of one piece: the pair of least rank, leftmost first, is merged until none is
// left.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/pair_map.h"

namespace autarky {

struct MergeRule {
  std::int32_t left = 0, right = 0;  // ids of what is merged
  std::int32_t result = 0;           // id of the merged token
};

// Immutable and thread-safe. Views of token bytes are kept: they must outlive it.
class Bpe {
 public:
  // tokens[id]: the bytes of a token, empty where there is none; all 256 single bytes must be
  // there. merges: by rank. With ignore_merges a piece that is a token is taken whole, whether
  // merges lead to it or not.
  Bpe(std::span<const std::string_view> tokens, std::span<const MergeRule> merges,
      bool ignore_merges);

  // Appends the ids of `piece`. O(n log n) in its length. Pieces above kMaxPiece bytes are cut into
  // pieces of that length, so that memory stays bounded.
  void encode(std::string_view piece, std::vector<std::int32_t>& out) const;

  static constexpr std::size_t kMaxPiece = std::size_t(1) << 20;

 private:
  struct Merge {
    std::uint32_t rank;
    std::int32_t result;
  };

  void merge_short(std::string_view piece, std::vector<std::int32_t>& out) const;
  void merge_long(std::string_view piece, std::vector<std::int32_t>& out) const;
  void merge_piece(std::string_view piece, std::vector<std::int32_t>& out) const;
  std::uint32_t rank_of(std::int32_t left, std::int32_t right) const;

  std::array<std::int32_t, 256> byte_ids_{};
  PairMap<Merge> merges_;
  std::unordered_map<std::string_view, std::int32_t> whole_;  // pieces that become one token
};

}  // namespace autarky
