// Costs the programs that ranks run, along the same calls and queues that the runtime follows.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "passes/program.h"
#include "passes/timeline.h"
#include "sim/device.h"
#include "sim/node_cost.h"

namespace autarky {

struct SimulatedQueue {
  std::string name;
  double busy_s = 0;
};
struct Simulation {
  double step_s = 0;                   // until the last rank has finished
  std::vector<double> stage_s;         // by pipeline stage
  std::vector<Seconds> spent;          // by pipeline stage: adds up to stage_s
  std::vector<SimulatedQueue> queues;  // of stage 0
  std::vector<NodeTime> ops;           // of stage 0, by block and operation, without kernels
  std::int64_t memory_bytes = 0;       // the largest arena
  Timeline timeline;                   // of stage 0, if asked for
};

// One program per pipeline stage, in order. Error where a receive has no send.
Simulation simulate(std::span<const Program> stages, const Device& device,
                    bool with_timeline = false);

}  // namespace autarky
