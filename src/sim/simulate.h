// Costs the program that a rank runs: rooflines for operations, alpha-beta for collectives, along
// the same calls and queues that the runtime follows.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "passes/program.h"
#include "passes/timeline.h"
#include "sim/chip.h"

namespace autarky {

struct SimulatedQueue {
  std::string name;
  double busy_s = 0;
};
struct Simulation {
  double step_s = 0;                   // until the last rank has finished
  std::vector<double> stage_s;         // by pipeline stage
  std::vector<SimulatedQueue> queues;  // of stage 0
  std::vector<NodeTime> ops;           // of stage 0, by block and operation, without kernels
  std::int64_t memory_bytes = 0;       // the largest arena
  Timeline timeline;                   // of stage 0, if asked for
};

// Time of one node on one rank, whatever else runs.
double node_seconds(const Node& node, Types in, Types out, const Mesh& mesh, const ChipModel& chip);

// One program per pipeline stage, in order.
Simulation simulate(std::span<const Program> stages, const ChipModel& chip,
                    bool with_timeline = false);

}  // namespace autarky
