// The measured figures of this machine, kept between runs.
#pragma once
#include <cstdint>
#include <string_view>

#include "backend/backend.h"
#include "base/file.h"
#include "sim/chip.h"

namespace autarky {

enum class Sheet : std::uint8_t {
  kept,     // any that is there
  checked,  // measured again if it was evidently measured while the machine was busy
  fresh,    // measured again
};

// "chip-HASH" + kind + ending in the user's cache folder ($XDG_CACHE_HOME or ~/.cache, autarky/):
// HASH stands for this machine and thread count.
fs::path machine_file(std::string_view kind, std::string_view ending);

// The sheet of this machine, dtype and thread count in the cache folder. Measured and kept there
// when it is not there yet, or as `sheet` says.
ChipModel local_chip(const Backend& backend, DType dtype, Sheet sheet = Sheet::checked);

}  // namespace autarky
