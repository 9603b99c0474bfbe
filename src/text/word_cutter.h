// The named split patterns by hand: what PCRE2 finds, many times as fast.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "text/tokenizer_steps.h"

namespace autarky {

// The pattern of a model family: "gpt2", "llama3" or "qwen2"; this is the only list.
// Throws InputError for another name.
const std::string& split_pattern(std::string_view name);

// Immutable and thread-safe. Classes of characters are those of Unicode 14.
class WordCutter {
 public:
  // Nothing if no cutter knows this pattern. Known are the named ones, and Qwen3.5's.
  static std::optional<WordCutter> for_pattern(const TextPattern& pattern);

  // Where the match that starts at `at` < text.size() ends; these patterns leave no gaps.
  std::size_t end(std::string_view valid_utf8, std::size_t at) const {
    return is_gpt2_ ? gpt2_end(valid_utf8, at) : llama3_end(valid_utf8, at);
  }

 private:
  enum class Class : std::uint8_t { other, letter, mark, number, space, newline };
  struct Character {
    Class kind;
    std::uint8_t length;  // 0 at the end of the text
  };

  explicit WordCutter(bool is_gpt2, int digits = 0, bool marks_are_letters = false);
  static const std::uint8_t* class_table();
  Character character(std::string_view text, std::size_t at) const;
  std::size_t run(std::string_view text, std::size_t at, Class kind) const;
  std::size_t spaces(std::string_view text, std::size_t at, bool stop_at_lines) const;
  std::size_t gpt2_end(std::string_view text, std::size_t at) const;
  std::size_t llama3_end(std::string_view text, std::size_t at) const;

  const std::uint8_t* classes_;  // by code point
  bool is_gpt2_;
  int digits_;              // most digits of a piece
  bool marks_are_letters_;  // else they are as punctuation
};

}  // namespace autarky
