// What a parameter has of f32 values, each as many as its count.
#pragma once
#include <cstdint>

namespace autarky {

enum class StatePart : std::uint8_t { weight, m, v };
inline constexpr StatePart kStateParts[] = {StatePart::weight, StatePart::m, StatePart::v};

}  // namespace autarky
