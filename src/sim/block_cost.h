// What one execution of a block takes on one rank.
#pragma once
#include <array>
#include <map>
#include <span>
#include <string>
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
  Seconds seconds;           // until the compute queue is done
  double data_s = 0;         // transfers that go on beside what follows
  double message_s = 0;      // a send's way to the next stage
  double far_message_s = 0;  // the same over the outermost tier, to a stage of other chips
  std::array<double, 2> longest_way_s = {};  // all; products, attention and collectives alone
  std::vector<NodeSpan> spans;
  std::vector<NodeTime> ops;

  // In any order that operands allow: all that computes, or the longest way through operands and
  // collectives of one stage. `products`: of products and attention alone, without memory.
  double least_s(bool products) const;

  double compute_s() const;  // of the nodes that compute: without movements and waiting for them
};

// What the nodes of blocks took on a real device: by the block's name, then by node. Below 0: not
// measured.
using MeasuredBlocks = std::map<std::string, std::vector<double>>;

// A block that computes, reduces, gathers or sends. `measured`: of its nodes that compute, in place
// of what the model of the device says; empty: of none.
BlockCost block_cost(const Graph& graph, const Mesh& mesh, const Device& device,
                     std::span<const double> measured = {});

}  // namespace autarky
