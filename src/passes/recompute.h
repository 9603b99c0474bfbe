// recompute: cuts a block's joint graph into its forward (F) and backward (B) graphs, and chooses
// what the forward keeps for the backward and what the backward computes again. A third graph (W)
// can take the gradients of weights.
#pragma once
#include <optional>
#include <string_view>

#include "ir/graph.h"
#include "passes/recompute_policy.h"

namespace autarky {

std::optional<Recompute> parse_recompute(std::string_view name);
std::string_view recompute_name(Recompute r);

// Joined by ports of kind saved, named alike.
struct CutBlock {
  Graph forward, backward;
  Graph weights;  // empty unless it is asked for
};

// The joint graph must be partitioned: conversions are forward or backward nodes, and converted
// values are not kept. With `split_weights` what only gradients of parameters need is W: it reads
// what F keeps and what B keeps for it. A gradient that comes out of a node of B stays there.
CutBlock cut(const Graph& joint, Recompute policy, bool split_weights = false);

}  // namespace autarky
