// What happened when in one execution of a program, run or simulated.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ir/op_info.h"

namespace autarky {

struct TimelineEvent {
  std::string queue;      // "compute", or a mesh axis
  std::string block, op;  // the block's name, the operation's
  double start_s = 0;     // since the step began
  double seconds = 0;
};
using Timeline = std::vector<TimelineEvent>;

// Time and count of one kind of node, run or simulated: a row of the per-operation table.
struct NodeTime {
  std::string block, op, kernel;
  double seconds = 0;
  std::int64_t calls = 0;
  Cost cost;  // of all calls
  bool operator==(const NodeTime&) const = default;
};

}  // namespace autarky
