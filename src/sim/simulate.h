// Costs the program that a rank runs: rooflines for operations, alpha-beta for collectives, along
// the same calls and queues that the runtime follows.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "passes/program.h"

namespace autarky {

// What the simulator knows of a device and its links.
struct ChipModel {
  std::string name;
  std::map<DType, double> flops_per_s;  // peak by the products' element type
  double bytes_per_s = 0;               // memory
  std::map<std::string, double>
      efficiency;               // share of the peak that an operation reaches; absent: 1
  double launch_s = 0;          // per node
  double link_latency_s = 0;    // alpha: per message
  double link_bytes_per_s = 0;  // 1 / beta: per link
};

struct SimulatedQueue {
  std::string name;
  double busy_s = 0;
};
struct Simulation {
  double step_s = 0;                   // until the last rank has finished
  std::vector<double> stage_s;         // by pipeline stage
  std::vector<SimulatedQueue> queues;  // of stage 0
  std::map<std::string, double> op_s;  // of stage 0, by operation
  std::int64_t memory_bytes = 0;       // the largest arena
};

// What an operation's efficiency is kept under: its name, weight gradients ("contract.weights")
// apart.
std::string cost_key(const OpInfo& op, Types out);

// Time of one node on one rank, whatever else runs.
double node_seconds(const Node& node, Types in, Types out, const Mesh& mesh, const ChipModel& chip);

// One program per pipeline stage, in order.
Simulation simulate(std::span<const Program> stages, const ChipModel& chip);

}  // namespace autarky
