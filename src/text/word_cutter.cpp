#include "text/word_cutter.h"

#include <fmt/core.h>
#include <unicode/uchar.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace autarky {
namespace {

constexpr char32_t kCodePoints = 0x110000;
constexpr int kUnicode = 14;

// Length of "s", "t", "re", "ve", "m", "ll" or "d" at the start of text, else 0. Without regard to
// case U+017F is an s.
std::size_t contraction(std::string_view text, bool any_case) {
  const auto at = [&](std::size_t i) -> char {
    if (i >= text.size()) return 0;
    const char c = text[i];
    return any_case && c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  };
  const char first = at(0), second = at(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 1;
  if ((first == 'r' || first == 'v') && second == 'e') return 2;
  if (first == 'l' && second == 'l') return 2;
  return any_case && text.starts_with("\xc5\xbf") ? 2 : 0;
}

bool is_old_enough(UChar32 c) {
  UVersionInfo age;
  u_charAge(c, age);
  return age[0] <= kUnicode;
}

}  // namespace

const std::string& split_pattern(std::string_view name) {
  static const std::string gpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  static const std::string llama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
      R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  static const std::string qwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                   R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  if (name == "gpt2") return gpt2;
  if (name == "llama3") return llama3;
  if (name == "qwen2") return qwen2;
  throw InputError("unknown split pattern")
      .found(fmt::format("'{}'", name))
      .wanted("gpt2, llama3 or qwen2");
}

std::optional<WordCutter> WordCutter::for_pattern(const TextPattern& pattern) {
  static constexpr std::string_view qwen35 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
      R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  if (pattern.literal) return std::nullopt;
  if (pattern.text == split_pattern("gpt2")) return WordCutter(true);
  if (pattern.text == split_pattern("llama3")) return WordCutter(false, 3);
  if (pattern.text == split_pattern("qwen2")) return WordCutter(false, 1);
  if (pattern.text == qwen35) return WordCutter(false, 1, true);
  return std::nullopt;
}

WordCutter::WordCutter(bool is_gpt2, int digits, bool marks_are_letters)
    : classes_(class_table()),
      is_gpt2_(is_gpt2),
      digits_(digits),
      marks_are_letters_(marks_are_letters) {}

const std::uint8_t* WordCutter::class_table() {
  static const std::vector<std::uint8_t> table = [] {
    std::vector<std::uint8_t> classes(kCodePoints, std::uint8_t(Class::other));
    const auto fill = [](const void* context, UChar32 start, UChar32 limit, UCharCategory type) {
      auto& all = *static_cast<std::vector<std::uint8_t>*>(const_cast<void*>(context));
      const auto mask = U_MASK(type);
      if ((mask & (U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK)) == 0) return UBool(true);
      const Class kind = mask & U_GC_L_MASK   ? Class::letter
                         : mask & U_GC_N_MASK ? Class::number
                                              : Class::mark;
      for (UChar32 c = start; c < limit; ++c)
        if (is_old_enough(c)) all[std::size_t(c)] = std::uint8_t(kind);
      return UBool(true);
    };
    u_enumCharTypes(fill, &classes);
    for (UChar32 c = 0; c <= 0x3000; ++c)  // the last white space
      if (u_isUWhiteSpace(c)) classes[std::size_t(c)] = std::uint8_t(Class::space);
    classes['\r'] = classes['\n'] = std::uint8_t(Class::newline);
    return classes;
  }();
  return table.data();
}

inline WordCutter::Character WordCutter::character(std::string_view text, std::size_t at) const {
  if (at >= text.size()) return {Class::other, 0};
  const auto byte = [&](std::size_t i) {
    return char32_t(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t first = byte(0);
  char32_t c = first;
  std::uint8_t length = 1;
  if (first >= 0xF0) {
    c = (first & 7) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63), length = 4;
  } else if (first >= 0xE0) {
    c = (first & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63), length = 3;
  } else if (first >= 0x80) {
    c = (first & 31) << 6 | (byte(1) & 63), length = 2;
  }
  const auto kind = Class(classes_[c]);
  if (kind == Class::mark) return {marks_are_letters_ ? Class::letter : Class::other, length};
  return {kind, length};
}

// Where the characters of one class that start at `at` end.
inline std::size_t WordCutter::run(std::string_view text, std::size_t at, Class kind) const {
  for (Character c = character(text, at); c.length > 0 && c.kind == kind; c = character(text, at))
    at += c.length;
  return at;
}

// White space that starts at `at`: to behind its last line end, if there is one and that counts;
// else all of it, but for the last character if a word follows that is not the only one.
std::size_t WordCutter::spaces(std::string_view text, std::size_t at, bool stop_at_lines) const {
  std::size_t end = at, last = at, behind_line = 0;
  for (Character c = character(text, end);
       c.length > 0 && (c.kind == Class::space || c.kind == Class::newline);
       c = character(text, end)) {
    last = end;
    end += c.length;
    if (c.kind == Class::newline) behind_line = end;
  }
  if (stop_at_lines && behind_line > 0) return behind_line;
  return end == text.size() || last == at ? end : last;
}

std::size_t WordCutter::gpt2_end(std::string_view text, std::size_t at) const {
  Character c = character(text, at);
  if (text[at] == '\'')
    if (const std::size_t n = contraction(text.substr(at + 1), false)) return at + 1 + n;
  std::size_t from = at;
  if (text[at] == ' ' && at + 1 < text.size()) c = character(text, ++from);
  if (c.kind == Class::space || c.kind == Class::newline) return spaces(text, at, false);
  return run(text, from, c.kind);
}

std::size_t WordCutter::llama3_end(std::string_view text, std::size_t at) const {
  const Character c = character(text, at);
  if (c.kind == Class::letter) return run(text, at, Class::letter);
  if (c.kind == Class::number) {
    std::size_t end = at + c.length;
    for (int n = 1; n < digits_; ++n) {
      const Character digit = character(text, end);
      if (digit.length == 0 || digit.kind != Class::number) break;
      end += digit.length;
    }
    return end;
  }
  if (text[at] == '\'')
    if (const std::size_t n = contraction(text.substr(at + 1), true)) return at + 1 + n;
  const Character next = character(text, at + c.length);
  const bool follows = next.length > 0;
  if (c.kind != Class::newline && follows && next.kind == Class::letter)
    return run(text, at + c.length, Class::letter);
  if (c.kind == Class::other || (text[at] == ' ' && follows && next.kind == Class::other)) {
    const std::size_t end = run(text, at + (text[at] == ' ' ? 1 : 0), Class::other);
    return run(text, end, Class::newline);
  }
  return spaces(text, at, true);
}

}  // namespace autarky
