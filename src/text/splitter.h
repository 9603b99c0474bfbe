// Cutting text into the pieces that byte pair encoding may not merge across (PCRE2).
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace autarky {

// One cut: every match of the pattern is a piece, and so is what lies between matches.
struct SplitStep {
  std::string pattern;
  bool literal = false;  // the pattern is a plain string
  bool operator==(const SplitStep&) const = default;
};

// The pattern of a model family: "gpt2", "llama3" or "qwen2"; this is the only list.
// Throws InputError for another name.
const std::string& split_pattern(std::string_view name);

// Immutable and thread-safe. The steps are applied in order, each to the pieces of the one before.
class Splitter {
 public:
  // Throws InputError, naming `where`, for a pattern that does not compile.
  Splitter(const std::vector<SplitStep>& steps, std::string_view where);
  ~Splitter();
  Splitter(Splitter&&) noexcept;
  Splitter& operator=(Splitter&&) noexcept;

  // Calls piece() for every piece in order; together they are `text`. Patterns run over maximal
  // stretches of valid UTF-8; a byte that is not part of one is a piece of its own.
  // Throws InputError if a match takes more than kMatchLimit steps.
  void split(std::string_view text, const std::function<void(std::string_view)>& piece) const;

  static constexpr unsigned kMatchLimit = 1u << 28;  // for 100 MB of spaces with some to spare

 private:
  struct Regex;
  class Run;
  std::vector<Regex> steps_;
};

}  // namespace autarky
