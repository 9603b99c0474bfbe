// The choices of a recipe's values.
#pragma once
#include <array>
#include <iterator>

#include "base/keys.h"
#include "train/recipe.h"

namespace autarky {

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

}  // namespace autarky
