// All layouts of a model on a number of chips.
#pragma once
#include "plan/search.h"

namespace autarky {

struct Candidate {
  EngineOptions options;           // of several kinds of chip without the layers of stages
  std::vector<StageGroup> groups;  // in the order of the pipeline
};

// In no order that matters. Sizes are those that divide: the chips of each kind = tp x dp x stages,
// the batch by dp and micro-batch; tp up to the heads, stages and chunks up to the layers.
std::vector<Candidate> all_layouts(const PlanRequest& request);

}  // namespace autarky
