#include "sim/collective.h"

#include <gtest/gtest.h>

#include "ops/movement.h"
#include "sim/block_cost.h"

namespace autarky {
namespace {

LinkTier tier(int chips, double bytes_per_s, double latency_s) {
  LinkTier t;
  t.chips = chips;
  t.bytes_per_s = t.pair_bytes_per_s = bytes_per_s;
  t.latency_s = latency_s;
  return t;
}
// Nodes of 8 with fast links, a slow network between them.
std::vector<LinkTier> cluster(double latency_s = 0) {
  return {tier(8, 100, latency_s), tier(0, 10, 10 * latency_s)};
}

TEST(Collective, MovesWhatARingMoves) {
  const auto seconds = [](Collective kind) {
    return collective_seconds(kind, 800, {4, 1}, std::vector{tier(0, 100, 0)});
  };
  EXPECT_DOUBLE_EQ(seconds(Collective::all_reduce), 2 * 3.0 / 4 * 8);
  EXPECT_DOUBLE_EQ(seconds(Collective::all_gather), 3.0 / 4 * 8);
  EXPECT_DOUBLE_EQ(seconds(Collective::reduce_scatter), 3.0 / 4 * 8);
  EXPECT_DOUBLE_EQ(seconds(Collective::all_to_all), 3.0 / 4 * 8);
  EXPECT_EQ(collective_seconds(Collective::all_reduce, 800, {1, 1}, cluster()), 0);
}

TEST(Collective, GoesOverTheTiersThatTheGroupSpans) {
  const auto gather = [](RankGroup group) {
    return collective_seconds(Collective::all_gather, 800, group, cluster());
  };
  EXPECT_DOUBLE_EQ(gather({8, 1}), 7.0 / 8 * 800 / 100);  // inside a node
  EXPECT_DOUBLE_EQ(gather({4, 8}), 3.0 / 4 * 800 / 10);   // one of each node
  // Two nodes whole: each member brings an eighth of the other node's half over the network.
  EXPECT_DOUBLE_EQ(gather({16, 1}), 1.0 / 2 * 800 / 8 / 10 + 7.0 / 8 * 800 / 100 -
                                        std::min(1.0 / 2 * 800 / 8 / 10, 7.0 / 8 * 800 / 100));
}

TEST(Collective, LatencyIsOfARingAndForAnAllReduceOfATreeIfThatIsShorter) {
  const auto latency = [](Collective kind, int ranks) {
    return collective_seconds(kind, 0, {ranks, 1}, std::vector{tier(0, 1, 1)});
  };
  EXPECT_DOUBLE_EQ(latency(Collective::all_gather, 64), 63);
  EXPECT_DOUBLE_EQ(latency(Collective::all_reduce, 64), 2 * 6);
  EXPECT_DOUBLE_EQ(latency(Collective::all_reduce, 2), 2 * 1);
  // A ring through two nodes of 8 has 14 hops inside them and one between.
  EXPECT_DOUBLE_EQ(collective_seconds(Collective::all_gather, 0, {16, 1}, cluster(1)), 14 + 10);
}

TEST(Collective, AMeshGivesFewMembersLessThanAll) {
  auto mesh = tier(8, 70, 0);
  mesh.pair_bytes_per_s = 10;  // a link to each of the seven others
  const auto seconds = [&](int ranks) {
    return collective_seconds(Collective::all_gather, 800, {ranks, 1}, std::vector{mesh});
  };
  EXPECT_DOUBLE_EQ(seconds(8), 7.0 / 8 * 800 / 70);
  EXPECT_DOUBLE_EQ(seconds(2), 1.0 / 2 * 800 / 10);
}

TEST(Collective, AMessageGoesOverTheTierThatJoinsTheTwo) {
  EXPECT_DOUBLE_EQ(message_seconds(800, 4, cluster(1)), 1 + 8);
  EXPECT_DOUBLE_EQ(message_seconds(800, 8, cluster(1)), 10 + 80);
}

// Operands of one message share its latency, and go through memory there and back.
TEST(Collective, OperandsOfOneMessageShareItsLatency) {
  Device device;
  device.chip.bytes_per_s = 64;
  device.chip.flops_per_s = {{DType::f32, 1}};
  device.chip.links = {tier(0, 1, 1)};
  Mesh mesh;
  mesh.size(Axis::dp) = 4;
  Graph graph;
  graph.name = "reduce.layer";
  std::vector<Value> in;
  for (const auto& [name, extent] : {std::pair{'e', 3}, {'f', 1}}) {
    Type type(DType::f32, {{name, extent}});
    type.layout.add_partial({Axis::dp, Combine::sum});
    in.push_back(graph.add_input(std::string(1, name), PortKind::grad, type));
  }
  const AllReduce::Attrs attrs{Axis::dp, Combine::sum};
  const auto both = apply_all<AllReduce>(graph, attrs, in);
  for (Value v : both) graph.type(v).layout = {{{}}, {}, {}};
  EXPECT_DOUBLE_EQ(block_cost(graph, mesh, device).data_s,
                   2 * 2 * 1 + 2 * 3.0 / 4 * 16 + 4 * 16 / 64.0);
}

}  // namespace
}  // namespace autarky
