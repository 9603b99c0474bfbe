#include "sim/collective.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/movement.h"

namespace autarky {
namespace {

// The tier that joins ranks `distance` apart.
const LinkTier& tier_over(std::span<const LinkTier> tiers, std::int64_t distance) {
  AUTARKY_CHECK(!tiers.empty(), "no links");
  for (const auto& tier : tiers)
    if (tier.chips == 0 || tier.chips > distance) return tier;
  return tiers.back();
}

Collective kind_of(const Node& node) {
  if (node.op == &op_info<AllReduce>()) return Collective::all_reduce;
  if (node.op == &op_info<AllGather>()) return Collective::all_gather;
  if (node.op == &op_info<ReduceScatter>()) return Collective::reduce_scatter;
  return Collective::all_to_all;
}

}  // namespace

RankGroup group_of(const Mesh& mesh, Axis axis) {
  RankGroup group{mesh.size(axis), 1};
  for (auto a = std::size_t(axis) + 1; a < mesh.sizes.size(); ++a) group.stride *= mesh.sizes[a];
  return group;
}

double collective_seconds(Collective kind, double bytes, RankGroup group,
                          std::span<const LinkTier> tiers) {
  if (group.ranks < 2) return 0;
  const double passes = kind == Collective::all_reduce ? 2 : 1;
  double slowest = 0, ring = 0, tree = 0, part = bytes;
  int joined = 1;  // members that the tiers below have joined
  for (std::size_t t = 0; t < tiers.size() && joined < group.ranks; ++t) {
    const LinkTier& tier = tiers[t];
    const bool all = tier.chips == 0 || t + 1 == tiers.size();
    const int members =
        all ? group.ranks
            : std::clamp(int(std::min<std::int64_t>(tier.chips / group.stride, group.ranks)),
                         joined, group.ranks);
    const double n = double(members) / joined;  // parts that this tier brings together
    if (n <= 1) continue;
    // What each member sends over this tier; everything goes to everybody in an all-to-all.
    const double share = kind == Collective::all_to_all
                             ? bytes * double(members - joined) / group.ranks
                             : part * (n - 1) / n;
    // An all-to-all of the whole domain meets every bottleneck inside it.
    const double slower = kind == Collective::all_to_all ? tier.contention : 1;
    slowest = std::max(slowest, passes * share * slower / tier.group_bytes_per_s(members));
    // Hops of a ring through all members, of which each node has its own.
    ring += passes * (n - 1) * (double(group.ranks) / members) * tier.latency_s;
    tree += passes * std::ceil(std::log2(n)) * tier.latency_s;
    part /= n;
    joined = members;
  }
  // Only an all-reduce goes along a tree as well.
  return slowest + (kind == Collective::all_reduce ? std::min(ring, tree) : ring);
}

double message_seconds(double bytes, int stride, std::span<const LinkTier> tiers) {
  const LinkTier& tier = tier_over(tiers, stride);
  return tier.latency_s + bytes / tier.group_bytes_per_s(2);
}

double collective_latency_s(const Node& node, const Mesh& mesh, std::span<const LinkTier> tiers) {
  return collective_seconds(kind_of(node), 0, group_of(mesh, *queue_of(node).axis), tiers);
}

double movement_seconds(const Node& node, Types in, Types out, const Mesh& mesh,
                        std::span<const LinkTier> tiers) {
  if (node.op == &op_info<Slice>()) return 0;
  const double bytes = double(bytes_moved(in, out));  // several operands go in one message
  if (node.op->movement != Movement::collective)
    return message_seconds(bytes, group_of(mesh, Axis::pp).stride, tiers);
  return collective_seconds(kind_of(node), bytes, group_of(mesh, *queue_of(node).axis), tiers);
}

}  // namespace autarky
