// What one execution of a block takes on one rank.
#pragma once
#include <vector>

#include "passes/program.h"
#include "passes/timeline.h"
#include "sim/node_cost.h"

namespace autarky {

struct NodeSpan {
  std::size_t node;
  Queue queue;
  double start = 0, seconds = 0;  // since the block began
};

struct BlockCost {
  Seconds seconds;       // until the compute queue is done
  double data_s = 0;     // transfers that go on beside what follows
  double message_s = 0;  // a send's way to the next stage
  std::vector<NodeSpan> spans;
  std::vector<NodeTime> ops;
};

// A block that computes, reduces, gathers or sends.
BlockCost block_cost(const Graph& graph, const Mesh& mesh, const Device& device);

}  // namespace autarky
