#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/splitter.h"

#include <fmt/core.h>
#include <pcre2.h>

#include <array>

#include "base/error.h"
#include "text/utf8.h"

namespace autarky {
namespace {

constexpr std::size_t kMaxPattern = 1 << 16, kMaxSteps = 16;
constexpr unsigned kHeapLimitKib = 1 << 18;

struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};
using Code = std::unique_ptr<pcre2_code, Free>;
using MatchData = std::unique_ptr<pcre2_match_data, Free>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free>;

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

Code compile(const SplitStep& step, std::string_view where) {
  if (step.pattern.empty() || step.pattern.size() > kMaxPattern)
    throw InputError("a split pattern of this length is not supported")
        .at(where)
        .found(fmt::format("{} bytes", step.pattern.size()))
        .wanted(fmt::format("1 to {}", kMaxPattern));
  const std::string text = step.literal ? step.pattern : unicode_spaces(step.pattern);
  const std::uint32_t options =
      PCRE2_UTF | (step.literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options, &error,
                          &offset, nullptr));
  if (!code)
    throw InputError(
        fmt::format("the split pattern '{}' does not compile: {}", step.pattern, error_text(error)))
        .at(where)
        .hint("Mend the pattern; PCRE2 syntax is supported.");
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where it fails, matching is interpreted
  return code;
}

MatchContext match_context() {
  MatchContext context(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(context.get(), Splitter::kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  return context;
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

struct Splitter::Regex {
  Code code;
};

// One call of split(): scratch memory for each step.
class Splitter::Run {
 public:
  Run(const std::vector<Regex>& steps, const std::function<void(std::string_view)>& piece)
      : steps_(steps), piece_(piece), context_(match_context()) {
    for (const Regex& r : steps)
      data_.emplace_back(pcre2_match_data_create_from_pattern(r.code.get(), nullptr));
  }

  // Applies steps [step, end) to valid UTF-8.
  void cut(std::size_t step, std::string_view text) {
    if (step == steps_.size()) return text.empty() ? void() : piece_(text);
    std::size_t done = 0, from = 0;
    while (from < text.size() && find(step, text, from)) {
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data_[step].get());
      const std::size_t start = std::max(range[0], done), end = std::max(start, range[1]);
      if (start > done) cut(step + 1, text.substr(done, start - done));
      if (end > start) cut(step + 1, text.substr(start, end - start));
      done = from = std::max(done, end);
      if (end == start && from < text.size()) next_code_point(text, from);
    }
    if (done < text.size()) cut(step + 1, text.substr(done));
  }

 private:
  bool find(std::size_t step, std::string_view text, std::size_t from) {
    const auto match = [&](std::uint32_t options) {
      return pcre2_match(steps_[step].code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                         text.size(), from, PCRE2_NO_UTF_CHECK | options, data_[step].get(),
                         context_.get());
    };
    int result = match(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(PCRE2_NO_JIT);
    if (result >= 0) return true;
    if (result == PCRE2_ERROR_NOMATCH) return false;
    throw InputError(fmt::format("the split pattern cannot be matched: {}", error_text(result)))
        .at(fmt::format("byte {} of a text of {}", from, text.size()))
        .hint("Use one of the named split patterns, or one with less backtracking.");
  }

  const std::vector<Regex>& steps_;
  const std::function<void(std::string_view)>& piece_;
  MatchContext context_;
  std::vector<MatchData> data_;
};

Splitter::Splitter(const std::vector<SplitStep>& steps, std::string_view where) {
  if (steps.size() > kMaxSteps)
    throw InputError("too many split patterns")
        .at(where)
        .found(std::to_string(steps.size()))
        .wanted(fmt::format("at most {}", kMaxSteps));
  for (const SplitStep& step : steps) steps_.push_back({compile(step, where)});
}
Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;

void Splitter::split(std::string_view text,
                     const std::function<void(std::string_view)>& piece) const {
  Run run(steps_, piece);
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    run.cut(0, text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) break;
    piece(text.substr(0, 1));
    text.remove_prefix(1);
  }
}

}  // namespace autarky
