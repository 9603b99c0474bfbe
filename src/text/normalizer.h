// What happens to a text before it is cut: normal forms, replacements.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/tokenizer_steps.h"

namespace autarky {

// Most bytes that replacing makes of a text of `size`: a few hostile steps, each of which makes
// many characters of one, would fill any memory.
constexpr std::size_t most_replaced(std::size_t size) { return 256 + 64 * size; }

// text with every match replaced. Patterns run over maximal stretches of valid UTF-8 only.
class Replacer {
 public:
  Replacer(const Replace& replace, std::string_view where);
  // InputError for a result of more than `most` bytes.
  std::string apply(std::string_view text, std::size_t most) const;

 private:
  void check(std::size_t size, std::size_t most) const;

  Replace replace_;
  std::string where_;           // for messages
  std::optional<Regex> regex_;  // none for plain strings
};

// Immutable and thread-safe.
class Normalizer {
 public:
  // Throws InputError, naming `where`, for too many steps or a pattern that does not compile.
  Normalizer(const std::vector<NormalizerStep>& steps, std::string_view where);

  bool changes_nothing() const { return steps_.empty(); }
  // InputError for a text that grows beyond most_replaced().
  std::string apply(std::string_view text) const;

 private:
  std::vector<std::variant<NormalForm, Prepend, Replacer, StripSpaces>> steps_;
};

// The least n such that text[0, n) is white space and what follows is not; from the end likewise.
std::size_t leading_spaces(std::string_view text);
std::size_t trailing_spaces(std::string_view text);

}  // namespace autarky
