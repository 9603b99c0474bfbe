// recompute: cuts a block's joint graph into its forward (F) and backward (B) graphs, and chooses
// what the forward keeps for the backward and what the backward computes again.
#pragma once
#include <optional>
#include <string_view>

#include "ir/graph.h"
#include "passes/recompute_policy.h"

namespace autarky {

std::optional<Recompute> parse_recompute(std::string_view name);
std::string_view recompute_name(Recompute r);

struct ForwardBackward {
  Graph forward, backward;  // joined by ports of kind saved, named alike
};

// The joint graph must be partitioned: conversions are forward or backward nodes, and converted
// values are not kept.
ForwardBackward cut(const Graph& joint, Recompute policy);

}  // namespace autarky
