// The measured figures of this machine, kept between runs.
#pragma once
#include "backend/backend.h"
#include "sim/chip.h"

namespace autarky {

// The sheet of this machine, dtype and thread count in the user's cache folder ($XDG_CACHE_HOME or
// ~/.cache, autarky/). Measured and kept there when it is not there yet, when it was evidently
// measured while the machine was busy, or when `fresh`.
ChipModel local_chip(const Backend& backend, DType dtype, bool fresh = false);

}  // namespace autarky
