#include "text/normalizer.h"

#include <fmt/core.h>
#include <unicode/uchar.h>

#include "text/normal_form.h"
#include "text/utf8.h"

namespace autarky {
namespace {

bool is_space(char32_t c) { return u_isUWhiteSpace(UChar32(c)); }

std::string apply(NormalForm form, std::string text) { return normal_form(form, text); }
std::string apply(const Prepend& prepend, std::string text) {
  return text.empty() ? text : prepend.text + text;
}
std::string apply(const Replacer& replacer, std::string text) { return replacer.apply(text); }
std::string apply(const StripSpaces& strip, std::string text) {
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

Replacer::Replacer(const Replace& replace, std::string_view where) : replace_(replace) {
  if (!replace.pattern.literal || replace.pattern.text.empty())
    regex_.emplace(replace.pattern, where);
}

std::string Replacer::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  if (!regex_) {
    const std::string& what = replace_.pattern.text;
    std::size_t done = 0;
    for (std::size_t at; (at = text.find(what, done)) != text.npos; done = at + what.size())
      out.append(text, done, at - done) += replace_.content;
    return out.append(text, done);
  }
  RegexMatches matches(*regex_);
  while (!text.empty()) {
    const std::string_view valid = text.substr(0, valid_utf8_prefix(text));
    matches.start(valid);
    std::size_t done = 0, from, to;
    while (matches.next(from, to)) {
      out.append(valid, done, from - done) += replace_.content;
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
  for (const NormalizerStep& step : steps)
    if (const auto* replace = std::get_if<Replace>(&step))
      steps_.emplace_back(Replacer(*replace, where));
    else if (const auto* form = std::get_if<NormalForm>(&step)) steps_.emplace_back(*form);
    else if (const auto* prepend = std::get_if<Prepend>(&step)) steps_.emplace_back(*prepend);
    else steps_.emplace_back(std::get<StripSpaces>(step));
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  for (const auto& step : steps_)
    result = std::visit([&](const auto& s) { return autarky::apply(s, std::move(result)); }, step);
  return result;
}

}  // namespace autarky
