#include "ops/fields.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace autarky {
namespace {

[[noreturn]] void bad(std::string_view text, std::string_view wanted) {
  throw InputError("cannot read an attribute")
      .found(fmt::format("'{}'", text))
      .wanted(std::string(wanted));
}

template <class T>
void parse_number(std::string_view text, T& v, std::string_view wanted) {
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, v).ptr != end || text.empty()) bad(text, wanted);
}

}  // namespace

std::string print_field(bool v) { return v ? "true" : "false"; }
std::string print_field(std::int64_t v) { return std::to_string(v); }
std::string print_field(double v) { return fmt::format("{}", v); }
std::string print_field(const std::string& v) { return '"' + v + '"'; }
std::string print_field(DType v) { return std::string(dtype_name(v)); }
std::string print_field(Axis v) { return std::string(axis_name(v)); }
std::string print_field(Combine v) { return std::string(combine_name(v)); }

void parse_field(std::string_view text, bool& v) {
  if (text != "true" && text != "false") bad(text, "true or false");
  v = text == "true";
}
void parse_field(std::string_view text, std::int64_t& v) {
  parse_number(text, v, "a whole number");
}
void parse_field(std::string_view text, double& v) { parse_number(text, v, "a number"); }
void parse_field(std::string_view text, std::string& v) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') bad(text, "text in quotes");
  v = text.substr(1, text.size() - 2);
}
void parse_field(std::string_view text, DType& v) {
  const auto t = parse_dtype(text);
  if (!t) bad(text, "an element type");
  v = *t;
}
void parse_field(std::string_view text, Axis& v) {
  const auto a = parse_axis(text);
  if (!a) bad(text, "an axis of the mesh");
  v = *a;
}
void parse_field(std::string_view text, Combine& v) {
  const auto* c = std::find(std::begin(kCombineNames), std::end(kCombineNames), text);
  if (c == std::end(kCombineNames)) bad(text, "sum, max, lse or one");
  v = static_cast<Combine>(c - std::begin(kCombineNames));
}

std::string_view find_field(std::string_view text, std::string_view name) {
  for (std::size_t i = 0; i < text.size();) {
    const auto equals = text.find('=', i);
    if (equals == text.npos) break;
    const auto key = text.substr(i, equals - i);
    const bool quoted = equals + 1 < text.size() && text[equals + 1] == '"';
    auto end = quoted ? text.find('"', equals + 2) : text.find(' ', equals);
    if (quoted && end != text.npos) ++end;
    end = std::min(end, text.size());
    if (key == name) return text.substr(equals + 1, end - equals - 1);
    i = end + 1;
  }
  throw InputError(fmt::format("attribute '{}' is missing", name)).found(fmt::format("'{}'", text));
}

}  // namespace autarky
