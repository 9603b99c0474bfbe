// Measures this machine for the simulator: peaks, bandwidth, and the share of the roofline that
// each kind of kernel reaches at standard shapes (not those of any model).
#pragma once
#include <vector>

#include "backend/backend.h"
#include "sim/chip.h"
#include "train/trial.h"

namespace autarky {

// The standard shapes, for matrices and activations of `dtype`.
std::vector<TrialCase> standard_cases(DType dtype);

// Takes seconds; on a busy machine longer, and the figures are then those of the busy machine.
ChipModel calibrate(const Backend& backend, DType dtype);

// "AMD EPYC", "unknown processor"
std::string processor_name();
// "AMD EPYC, 2 threads, avx2"
std::string machine_name();

}  // namespace autarky
