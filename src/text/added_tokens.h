// Tokens that are cut out of a text before anything else: "<|endoftext|>" and the like.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/pair_map.h"

namespace autarky {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = true;       // control token: can be forbidden in a text, skipped in decoding
  bool normalized = false;   // matched after normalisation instead of before
  bool single_word = false;  // only where no letter, digit or '_' is beside it
  bool lstrip = false, rstrip = false;  // takes the white space before, behind it along
  bool operator==(const AddedToken&) const = default;
};

// Leftmost, longest matches of a set of strings; a trie over bytes.
class AddedTokenFinder {
 public:
  static constexpr std::size_t kMaxLength = 1024;  // bytes of a token: bounds a match's time

  // `content`: what is looked for, not empty.
  void add(std::string_view content, const AddedToken& token);

  struct Match {
    std::size_t start, length;  // with the white space that it takes along
    std::int32_t id;
  };
  // The first match at or after `from`; tokens that are special only if allowed.
  std::optional<Match> find(std::string_view text, std::size_t from, bool allow_special) const;

 private:
  struct Node {
    std::int32_t id = -1;  // of the token that ends here
    bool special = false, single_word = false, lstrip = false, rstrip = false;
  };
  struct Found {
    std::size_t length;
    const Node* node;
  };
  std::optional<Found> match_at(std::string_view text, std::size_t at, bool allow_special) const;

  std::array<bool, 256> starts_{};
  std::vector<Node> nodes_{1};
  PairMap<std::int32_t> next_;  // (node, byte) -> node
};

}  // namespace autarky
