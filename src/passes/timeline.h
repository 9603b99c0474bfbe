// What happened when in one execution of a program, run or simulated.
#pragma once
#include <string>
#include <vector>

namespace autarky {

struct TimelineEvent {
  std::string queue;      // "compute", or a mesh axis
  std::string block, op;  // the block's name, the operation's
  double start_s = 0;     // since the step began
  double seconds = 0;
};
using Timeline = std::vector<TimelineEvent>;

}  // namespace autarky
