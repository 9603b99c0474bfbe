// From the least time that a model's FLOPs take to the time of a step, each loss named.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "passes/timeline.h"
#include "sim/chip.h"

namespace autarky {

struct WaterfallPart {
  std::string name;
  double seconds = 0;  // below 0: a gain, such as operands that caches keep
};

// The parts add up to step_s. First model_flops (a step's, docs/formats/flops.md) at the peak of
// `products`; then FLOPs beyond the model's (recomputation, optimizer, element by element) at the
// peak; memory traffic that FLOPs do not cover (roofline); what kernels take beyond their roofline:
// matrix products, attention, the others; at last what passes between kernels (starts, host,
// communication that is not hidden). `ops`: one step's, on one rank.
std::vector<WaterfallPart> waterfall(std::span<const NodeTime> ops, double step_s,
                                     double model_flops, const ChipModel& chip, DType products);

}  // namespace autarky
