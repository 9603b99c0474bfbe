// All layouts of a model on a number of chips.
#pragma once
#include "plan/search.h"

namespace autarky {

// In no order that matters. Sizes are those that divide: chips = tp x pp x dp, the batch by dp and
// micro-batch; tp up to the heads, stages and chunks up to the layers.
std::vector<EngineOptions> all_layouts(const PlanRequest& request);

}  // namespace autarky
