// The largest head that rope turns: its cosines and sines lie on the stack.
#pragma once
#include <cstdint>

namespace autarky::cpu {

inline constexpr std::int64_t kMaxHalf = 256;  // of a head's size

}  // namespace autarky::cpu
