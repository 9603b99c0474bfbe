// One key of a section of a YAML file: its name, its member and the values it may have. A section
// is a struct that lists its keys once, in `keys()`; reading, printing and checking follow from
// that (keys_yaml.h). `kBareKey` names the key that a bare word stands for, `kRequired` those that
// must be there. In writing `kFlow` asks for one line, `kBrief` leaves out what has its default.
#pragma once
#include <array>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

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
struct Key {
  std::string_view name;
  T Section::*member;
  Range range;  // of a number, or of each number of a list
};
template <class Section, class T>
constexpr Key<Section, T> key(std::string_view name, T Section::*member, Range range = {}) {
  return {name, member, range};
}

// The choices of a type, in the order in which messages list them; an enumeration gives its own
// `words(const E*)` in its namespace.
template <class T>
using Words = std::pair<std::string_view, T>;

constexpr auto words(const bool*) {
  return std::array{Words<bool>{"true", true}, Words<bool>{"false", false}};
}

template <class T>
concept HasWords = requires {
  words(static_cast<const T*>(nullptr));
};
template <class T>
concept HasKeys = requires {
  T::keys();
};
template <class T>
inline constexpr bool IsVector = false;
template <class T>
inline constexpr bool IsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool IsOptional = false;
template <class T>
inline constexpr bool IsOptional<std::optional<T>> = true;

template <HasWords T>
std::string_view word_of(T value) {
  for (const auto& [word, choice] : words(static_cast<const T*>(nullptr)))
    if (choice == value) return word;
  check_failed("value has a word", __FILE__, __LINE__, "a choice of a YAML file");
}

}  // namespace autarky
