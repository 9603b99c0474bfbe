// Patterns of tokenizer files (PCRE2, with Unicode properties).
#pragma once
#include <cstddef>
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

  static constexpr unsigned kMatchLimit = 1u << 28;  // for 100 MB of spaces with some to spare

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
  // Throws InputError if it takes more than Regex::kMatchLimit steps.
  bool next(std::size_t& from, std::size_t& to);

 private:
  bool match(std::size_t at);

  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
  std::string_view text_;
  std::size_t at_ = 0, done_ = 0;
};

}  // namespace autarky
