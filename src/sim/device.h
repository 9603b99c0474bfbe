// What a program is costed on.
#pragma once
#include "sim/chip.h"
#include "sim/chip_sheet.h"
#include "sim/stack.h"

namespace autarky {

// Between a chip and its host's memory. A judgement: PCIe 4 x16, not all of it.
inline constexpr double kHostBytesPerS = 20e9;

struct Device {
  ChipModel chip;
  Stack stack = {};
};

// From the figures of a sheet. InputError where one is needed that is not known.
ChipModel chip_model(const ChipSheet& sheet, const NetworkSheet& network);
ChipModel chip_model(const ChipSheet& sheet);  // on its usual network

}  // namespace autarky
