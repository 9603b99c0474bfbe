// Patterns of tokenizer files (PCRE2, with Unicode properties).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "text/tokenizer_steps.h"

namespace autarky {

// Immutable and thread-safe.
class Regex {
 public:
  // Throws InputError, naming `where`, for a pattern that does not compile.
  Regex(const TextPattern& pattern, std::string_view where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // Steps of one match: a hostile pattern costs little in a short text, and 100 MB of spaces have
  // some to spare.
  static constexpr std::uint32_t match_limit(std::size_t text_size) {
    return std::uint32_t(std::min<std::size_t>((1u << 20) + 3 * text_size, 1u << 30));
  }

 private:
  friend class RegexMatches;
  struct Code;
  std::unique_ptr<const Code> code_;
};

// The matches of a pattern in one text after another, leftmost first. Of one thread.
class RegexMatches {
 public:
  explicit RegexMatches(const Regex& regex);
  ~RegexMatches();
  RegexMatches(RegexMatches&&) noexcept;

  void start(std::string_view valid_utf8);
  // The next match, [from, to) of the text; empty ones do not touch the match before.
  // Throws InputError if it takes more than Regex::match_limit() steps.
  bool next(std::size_t& from, std::size_t& to);

 private:
  bool match(std::size_t at);

  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
  std::string_view text_;
  std::size_t at_ = 0, done_ = 0;
};

}  // namespace autarky
