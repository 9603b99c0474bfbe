// What a block's forward keeps for its backward.
#pragma once
#include <cstdint>

namespace autarky {

enum class Recompute : std::uint8_t {
  none,       // the forward keeps every value that a gradient uses
  selective,  // what is cheap and can be had from kept values is computed again
  full,       // nothing is kept but the block's inputs
};

}  // namespace autarky
