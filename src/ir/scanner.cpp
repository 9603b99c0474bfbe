#include "ir/scanner.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace autarky {

bool LineScanner::accept(std::string_view literal) {
  if (!rest_.starts_with(literal)) return false;
  rest_.remove_prefix(literal.size());
  return true;
}

void LineScanner::expect(std::string_view literal) {
  if (!accept(literal)) bad(fmt::format("'{}'", literal));
}

std::string_view LineScanner::until(std::string_view end, std::string_view wanted) {
  const auto at = rest_.find(end);
  if (at == rest_.npos) bad(fmt::format("{} and '{}'", wanted, end));
  const auto text = rest_.substr(0, at);
  rest_.remove_prefix(at + end.size());
  return text;
}

std::string_view LineScanner::word(std::string_view wanted) {
  const auto text = rest_.substr(0, rest_.find_first_of(" (),;:"));
  if (!is_word(text)) bad(wanted);
  rest_.remove_prefix(text.size());
  return text;
}

std::string_view LineScanner::all() { return std::exchange(rest_, std::string_view()); }

std::int64_t LineScanner::number(std::int64_t least, std::int64_t most) {
  std::int64_t n = 0;
  const auto [stop, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), n);
  if (error != std::errc() || n < least || n > most)
    bad(fmt::format("a whole number from {} to {}", least, most));
  rest_.remove_prefix(std::size_t(stop - rest_.data()));
  return n;
}

Type LineScanner::type() {
  auto size = std::min(rest_.find(']'), rest_.size() - 1) + 1;
  if (rest_.empty()) bad("a type");
  if (rest_.substr(size).starts_with('{')) size = std::min(rest_.find('}'), rest_.size() - 1) + 1;
  const auto text = rest_.substr(0, size);
  const Type type = named([&] { return parse_type(text); });
  if (const auto as_printed = to_string(type); as_printed != text) bad(text, as_printed);
  rest_.remove_prefix(size);
  return type;
}

std::size_t LineScanner::choice(std::span<const std::string_view> names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  const auto text = word("one of " + list);
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) bad(text, "one of " + list);
  return std::size_t(it - names.begin());
}

void LineScanner::end() {
  if (!rest_.empty()) bad("the end of the line");
}

void LineScanner::bad(std::string_view found, std::string_view wanted) const {
  constexpr std::size_t kMost = 60;  // of what is shown
  const auto shown = found.substr(0, kMost);
  throw InputError("cannot read the program")
      .at(fmt::format("line {}", line_))
      .found(found.empty() ? "the end of the line"
                           : fmt::format("'{}{}'", shown, found.size() > kMost ? "..." : ""))
      .wanted(wanted);
}

void LineScanner::rethrow(const Error& e) const {
  throw InputError(e.what()).at(fmt::format("line {}", line_));
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace autarky
