// What moving data between ranks takes: alpha-beta by algorithm, over the tiers of a network.
#pragma once
#include <span>

#include "ir/mesh.h"
#include "passes/program.h"
#include "sim/network.h"

namespace autarky {

// Ranks whose numbers are `stride` apart.
struct RankGroup {
  int ranks = 1;
  int stride = 1;
};
// The group of an axis: ranks that differ in it alone.
RankGroup group_of(const Mesh& mesh, Axis axis);

enum class Collective : std::uint8_t { all_reduce, all_gather, reduce_scatter, all_to_all };

// Of `bytes`, those of the whole value on one rank: what all-gather gives and all-reduce takes. The
// members of a group that share a node move their part over it while one part of each node goes
// over the tier above, so the slowest tier counts; latencies are those of the hops of a ring
// through all of them, for an all-reduce of a tree if that has less (NCCL, src/graph/tuning.cc).
double collective_seconds(Collective kind, double bytes, RankGroup group,
                          std::span<const LinkTier> tiers);

// One message to the rank `stride` away.
double message_seconds(double bytes, int stride, std::span<const LinkTier> tiers);

// What a collective of no bytes takes.
double collective_latency_s(const Node& node, const Mesh& mesh, std::span<const LinkTier> tiers);

// A node that moves a value; nothing for what is no collective between ranks.
double movement_seconds(const Node& node, Types in, Types out, const Mesh& mesh,
                        std::span<const LinkTier> tiers);

}  // namespace autarky
