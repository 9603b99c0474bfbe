// What a recipe's value may be: words for choices, and the kinds of types that hold values.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "train/recipe.h"

namespace autarky {

template <class T>
using Words = std::pair<std::string_view, T>;

// The choices of a type, in the order in which messages list them.
constexpr auto words(const bool*) {
  return std::array{Words<bool>{"true", true}, Words<bool>{"false", false}};
}
constexpr auto words(const DType*) {  // those that a model is trained in
  return std::array{Words<DType>{"bf16", DType::bf16}, Words<DType>{"f32", DType::f32}};
}
constexpr auto words(const ScheduleKind*) {
  using K = ScheduleKind;
  return std::array{Words<K>{"cosine", K::cosine}, Words<K>{"linear", K::linear},
                    Words<K>{"wsd", K::wsd}, Words<K>{"constant", K::constant}};
}
constexpr auto words(const PipelineSchedule*) {
  std::array<Words<PipelineSchedule>, std::size(kPipelineScheduleNames)> all;
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = {kPipelineScheduleNames[i], static_cast<PipelineSchedule>(i)};
  return all;
}
constexpr auto words(const Recompute*) {
  using R = Recompute;
  return std::array{Words<R>{"none", R::none}, Words<R>{"selective", R::selective},
                    Words<R>{"full", R::full}};
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
  check_failed("value has a word", __FILE__, __LINE__, "a recipe's choice");
}

}  // namespace autarky
