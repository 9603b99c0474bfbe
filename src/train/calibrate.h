// Measures this machine for the simulator: peaks, bandwidth, and the share of the roofline that
// each kind of kernel reaches at standard shapes (not those of any model).
#pragma once
#include <filesystem>
#include <optional>

#include "backend/backend.h"
#include "sim/simulate.h"

namespace autarky {

// Takes seconds; on a busy machine longer, and the figures are then of no use.
ChipModel calibrate(const Backend& backend, DType dtype);

// The sheet of this machine, dtype and thread count in the user's cache folder ($XDG_CACHE_HOME or
// ~/.cache, autarky/); measured and kept there when it is not there yet, or `fresh`.
ChipModel local_chip(const Backend& backend, DType dtype, bool fresh = false);

// "AMD EPYC 7B13, 2 threads, avx2"
std::string machine_name();

}  // namespace autarky
