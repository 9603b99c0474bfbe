// One key of a recipe's section: its name, its member and the values it may have. A section lists
// its keys once, in `keys()`; reading, printing and checking follow from that.
#pragma once
#include <limits>
#include <string_view>

namespace autarky {

struct Range {
  double least = -std::numeric_limits<double>::max();
  double most = std::numeric_limits<double>::max();
  bool without_least = false, without_most = false;  // the bound itself is not allowed
};
constexpr Range at_least(double least) { return {.least = least}; }
constexpr Range above(double least) { return {.least = least, .without_least = true}; }
constexpr Range between(double least, double most) { return {.least = least, .most = most}; }
constexpr Range from_to_below(double least, double most) {
  return {.least = least, .most = most, .without_most = true};
}

template <class Section, class T>
struct RecipeKey {
  std::string_view name;
  T Section::*member;
  Range range;
};
template <class Section, class T>
constexpr RecipeKey<Section, T> key(std::string_view name, T Section::*member, Range range = {}) {
  return {name, member, range};
}

}  // namespace autarky
