#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <fmt/core.h>
#include <pcre2.h>

#include <array>
#include <string>

#include "base/error.h"
#include "text/utf8.h"

namespace autarky {
namespace {

constexpr std::size_t kMaxPattern = 1 << 16;
constexpr unsigned kHeapLimitKib = 1 << 18;

struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};
using CodePointer = std::unique_ptr<pcre2_code, Free>;

std::string error_text(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// PCRE2's \s has U+180E, which is no white space of Unicode: the property is what is meant.
std::string unicode_spaces(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escape = pattern[i] == '\\' && i + 1 < pattern.size();
    if (!escape) {
      out += pattern[i];
      continue;
    }
    const char letter = pattern[++i];
    if (letter == 's') out += "\\p{White_Space}";
    else if (letter == 'S') out += "\\P{White_Space}";
    else (out += '\\') += letter;
  }
  return out;
}

CodePointer compile(const TextPattern& pattern, std::string_view where) {
  if (pattern.text.empty() || pattern.text.size() > kMaxPattern)
    throw InputError("a pattern of this length is not supported")
        .at(where)
        .found(fmt::format("{} bytes", pattern.text.size()))
        .wanted(fmt::format("1 to {}", kMaxPattern));
  const std::string text = pattern.literal ? pattern.text : unicode_spaces(pattern.text);
  const std::uint32_t options =
      PCRE2_UTF | (pattern.literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
  int error = 0;
  PCRE2_SIZE offset = 0;
  CodePointer code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options,
                                 &error, &offset, nullptr));
  if (!code)
    throw InputError(
        fmt::format("the pattern '{}' does not compile: {}", pattern.text, error_text(error)))
        .at(where)
        .hint("Mend the pattern; PCRE2 syntax is supported.");
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where it fails, matching is interpreted
  return code;
}

}  // namespace

struct Regex::Code {
  CodePointer code;
};

Regex::Regex(const TextPattern& pattern, std::string_view where)
    : code_(new Code{compile(pattern, where)}) {}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

struct RegexMatches::Scratch {
  const pcre2_code* code;
  std::unique_ptr<pcre2_match_data, Free> data;
  std::unique_ptr<pcre2_match_context, Free> context;
};

RegexMatches::RegexMatches(const Regex& regex) : scratch_(new Scratch{}) {
  scratch_->code = regex.code_->code.get();
  scratch_->data.reset(pcre2_match_data_create_from_pattern(scratch_->code, nullptr));
  scratch_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_heap_limit(scratch_->context.get(), kHeapLimitKib);
}
RegexMatches::~RegexMatches() = default;
RegexMatches::RegexMatches(RegexMatches&&) noexcept = default;

void RegexMatches::start(std::string_view valid_utf8) {
  text_ = valid_utf8;
  pcre2_set_match_limit(scratch_->context.get(), Regex::match_limit(text_.size()));
  at_ = done_ = 0;
}

bool RegexMatches::next(std::size_t& from, std::size_t& to) {
  while (at_ < text_.size() && match(at_)) {
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch_->data.get());
    from = std::max(range[0], done_);  // \K may move it
    to = std::max(from, range[1]);
    at_ = to;
    if (to == from && at_ < text_.size()) next_code_point(text_, at_);
    if (to == from && (to == done_ || to == text_.size())) continue;
    done_ = to;
    return true;
  }
  return false;
}

bool RegexMatches::match(std::size_t at) {
  const auto run = [&](std::uint32_t options) {
    return pcre2_match(scratch_->code, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), at,
                       PCRE2_NO_UTF_CHECK | options, scratch_->data.get(), scratch_->context.get());
  };
  int result = run(0);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_JIT);
  if (result >= 0) return true;
  if (result == PCRE2_ERROR_NOMATCH) return false;
  throw InputError(fmt::format("the split pattern cannot be matched: {}", error_text(result)))
      .at(fmt::format("byte {} of a text of {}", at, text_.size()))
      .hint("Use one of the named split patterns, or one with less backtracking.");
}

}  // namespace autarky
