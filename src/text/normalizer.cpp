#include "text/normalizer.h"

#include <fmt/core.h>
#include <unicode/uchar.h>

#include "base/error.h"
#include "text/normal_form.h"
#include "text/utf8.h"

namespace autarky {
namespace {

bool is_space(char32_t c) { return u_isUWhiteSpace(UChar32(c)); }

std::string apply(NormalForm form, std::string text, std::size_t) {
  return normal_form(form, text);
}
std::string apply(const Prepend& prepend, std::string text, std::size_t) {
  return text.empty() ? text : prepend.text + text;
}
std::string apply(const Replacer& replacer, std::string text, std::size_t most) {
  return replacer.apply(text, most);
}
std::string apply(const StripSpaces& strip, std::string text, std::size_t) {
  if (strip.right) text.resize(text.size() - trailing_spaces(text));
  if (strip.left) text.erase(0, leading_spaces(text));
  return text;
}

}  // namespace

std::size_t leading_spaces(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && valid_utf8_prefix(text.substr(n, 4)) > 0) {
    std::size_t next = n;
    if (!is_space(next_code_point(text, next))) break;
    n = next;
  }
  return n;
}

std::size_t trailing_spaces(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t start = last_code_point(text.substr(0, end));
    std::size_t at = start;
    if (start == end || !is_space(next_code_point(text, at))) break;
    end = start;
  }
  return text.size() - end;
}

Replacer::Replacer(const Replace& replace, std::string_view where)
    : replace_(replace), where_(where) {
  if (!replace.pattern.literal || replace.pattern.text.empty())
    regex_.emplace(replace.pattern, where);
}

void Replacer::check(std::size_t size, std::size_t most) const {
  if (size > most)
    throw InputError(
        fmt::format("replacing '{}' makes a text too long", replace_.pattern.text.substr(0, 60)))
        .at(where_)
        .wanted(fmt::format("at most {} bytes", most));
}

std::string Replacer::apply(std::string_view text, std::size_t most) const {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  if (!regex_) {
    const std::string& what = replace_.pattern.text;
    std::size_t done = 0;
    for (std::size_t at; (at = text.find(what, done)) != text.npos; done = at + what.size()) {
      out.append(text, done, at - done) += replace_.content;
      check(out.size(), most);
    }
    return out.append(text, done);
  }
  RegexMatches matches(*regex_);
  while (!text.empty()) {
    const std::string_view valid = text.substr(0, valid_utf8_prefix(text));
    matches.start(valid);
    std::size_t done = 0, from, to;
    while (matches.next(from, to)) {
      out.append(valid, done, from - done) += replace_.content;
      check(out.size(), most);
      done = to;
    }
    out.append(valid, done);
    text.remove_prefix(valid.size());
    if (text.empty()) break;
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps, std::string_view where) {
  check_step_count(steps.size(), where);
  for (const NormalizerStep& step : steps)
    if (const auto* replace = std::get_if<Replace>(&step))
      steps_.emplace_back(Replacer(*replace, where));
    else if (const auto* form = std::get_if<NormalForm>(&step)) steps_.emplace_back(*form);
    else if (const auto* prepend = std::get_if<Prepend>(&step)) steps_.emplace_back(*prepend);
    else steps_.emplace_back(std::get<StripSpaces>(step));
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  const std::size_t most = most_replaced(text.size());
  for (const auto& step : steps_)
    result =
        std::visit([&](const auto& s) { return autarky::apply(s, std::move(result), most); }, step);
  return result;
}

}  // namespace autarky
