// Byte pair encoding of one piece: the pair of least rank, leftmost first, is merged until none is
// left.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/hash_index.h"
#include "text/pair_map.h"

namespace autarky {

struct MergeRule {
  std::int32_t left = 0, right = 0;  // ids of what is merged
  std::int32_t result = 0;           // id of the merged token
};

// What a piece starts as: a symbol for each byte or for each character, and what stands for one
// that is no token: its bytes if all of them have ids, else unk, else nothing.
struct BpeSymbols {
  bool bytes = true;  // else characters of UTF-8; a byte outside of it is a character of its own
  std::array<std::int32_t, 256> fallback = none();
  std::int32_t unk = -1;
  bool fuse_unk = false;

  static constexpr std::array<std::int32_t, 256> none() {
    std::array<std::int32_t, 256> ids{};
    ids.fill(-1);
    return ids;
  }
};

// Immutable and thread-safe. Views of tokens are kept: they must outlive it.
class Bpe {
 public:
  // tokens[id]: what a token stands for in a piece, empty where there is none. merges: by rank.
  // With ignore_merges a piece that is a token is taken whole, whether merges lead to it or not.
  Bpe(std::span<const std::string_view> tokens, std::span<const MergeRule> merges,
      const BpeSymbols& symbols, bool ignore_merges);

  // Appends the ids of `piece`. O(n log n) in its length. Pieces above kMaxPiece bytes are cut into
  // pieces of that length, so that memory stays bounded.
  void encode(std::string_view piece, std::vector<std::int32_t>& out) const;

  // Where the first part of a piece ends that can be encoded for itself.
  std::size_t part_end(std::string_view piece) const;

  static constexpr std::size_t kMaxPiece = std::size_t(1) << 20;

 private:
  struct ShortPiece;

  void find_merges();
  void find_words(std::span<const std::string_view> tokens);
  void find_byte_pairs();
  void encode_part(std::string_view part, std::vector<std::int32_t>& out) const;
  void start(std::string_view part, std::vector<std::int32_t>& out) const;
  std::int32_t symbol_of(std::string_view character) const;
  std::int32_t word_id(std::string_view part) const;
  void encode_bytes(std::string_view part, std::vector<std::int32_t>& out) const;
  void merge(std::vector<std::int32_t>& out, std::size_t first) const;
  void merge_short(ShortPiece& piece) const;
  void merge_long(std::vector<std::int32_t>& out, std::size_t first) const;
  std::uint32_t rank_of(std::int32_t left, std::int32_t right) const;

  BpeSymbols symbols_;
  std::array<std::int32_t, 256> byte_ids_ = BpeSymbols::none();  // of one-byte tokens
  PairMap<std::int32_t> character_ids_;                          // (code point, 0), above ASCII
  std::vector<MergeRule> merges_;                                // by rank
  HashIndex ranks_;                                              // of merges_, by pair
  std::vector<std::uint32_t> byte_ranks_;  // of two bytes; empty if some byte is no token
  std::vector<std::string_view> words_;    // by id: pieces that become one token, else empty
  HashIndex word_ids_;                     // of words_, by text
  std::size_t short_;                      // symbols up to which merge_short() is used
  bool ignore_merges_;
  bool cuts_words_ = false;  // no merge crosses from another character to U+2581: cut there
};

}  // namespace autarky
