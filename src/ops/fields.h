// Attributes as plain structs: one `fields()` tuple gives printing, parsing and equality.
//   struct Attrs {
//     double eps = 1e-5;
//     static constexpr auto fields() { return std::tuple{field("eps", &Attrs::eps)}; }
//   };
#pragma once
#include <string>
#include <string_view>
#include <tuple>

#include "base/dtype.h"
#include "ir/type.h"

namespace autarky {

template <class S, class T>
struct Field {
  std::string_view name;
  T S::*member;
};
template <class S, class T>
constexpr Field<S, T> field(std::string_view name, T S::*member) {
  return {name, member};
}

// Printing and parsing of one field; parsing throws InputError. Strings must not hold quotes.
std::string print_field(bool v);
std::string print_field(std::int64_t v);
std::string print_field(double v);  // shortest text that parses back to the same bits
std::string print_field(const std::string& v);
std::string print_field(DType v);
std::string print_field(Axis v);
std::string print_field(Combine v);
void parse_field(std::string_view text, bool& v);
void parse_field(std::string_view text, std::int64_t& v);
void parse_field(std::string_view text, double& v);
void parse_field(std::string_view text, std::string& v);
void parse_field(std::string_view text, DType& v);
void parse_field(std::string_view text, Axis& v);
void parse_field(std::string_view text, Combine& v);

// The text of a field in "a=1 b=\"x y\"", or nothing.
std::string_view find_field(std::string_view text, std::string_view name);

template <class Attrs>
std::string print_attrs(const Attrs& attrs) {
  std::string text;
  std::apply(
      [&](auto... f) {
        ((text +=
          (text.empty() ? "" : " ") + std::string(f.name) + "=" + print_field(attrs.*(f.member))),
         ...);
      },
      Attrs::fields());
  return text;
}

template <class Attrs>
Attrs parse_attrs(std::string_view text) {
  Attrs attrs;
  std::apply([&](auto... f) { (parse_field(find_field(text, f.name), attrs.*(f.member)), ...); },
             Attrs::fields());
  return attrs;
}

struct NoAttrs {
  static constexpr auto fields() { return std::tuple{}; }
};

}  // namespace autarky
