#include "sim/node_cost.h"

#include <gtest/gtest.h>

#include "ops/add.h"
#include "ops/attention.h"
#include "ops/contract.h"

namespace autarky {
namespace {

Device device() {
  Device d;
  d.chip.flops_per_s = {{DType::f32, 1e12}, {DType::bf16, 1e14}};
  d.chip.bytes_per_s = 1e12;
  d.chip.products = 0.8;
  return d;
}

TEST(ProductShare, FallsWithTilesThatReachBeyondTheEdgeAndShortSums) {
  const ChipModel chip = device().chip;
  EXPECT_NEAR(product_share(chip, 4096, 4096, 1e9), 1, 1e-6);
  EXPECT_LT(product_share(chip, 4096 + 1, 129, 1e9), 0.9);
  EXPECT_DOUBLE_EQ(product_share(chip, 4096, 4096, 64), 0.5);
  EXPECT_LT(product_share(chip, 64, 64, 1e9), 0.75);  // small tiles read more
}

TEST(ProductShare, FallsWithALastWaveThatFillsFewCores) {
  ChipModel chip = device().chip;
  chip.matrix_cores = 32;
  const double full = product_share(chip, 2048, 512, 1e9);  // 32 tiles
  const double over = product_share(chip, 2048 + 256, 512, 1e9);
  EXPECT_NEAR(full, 1, 1e-6);
  EXPECT_LT(over, full);
  EXPECT_GT(over, 0.6);  // what the tail leaves is shared out
}

Seconds seconds_of(const Device& d, const Graph& g) {
  std::vector<Type> in, out;
  for (Value v : g.nodes[0].in) in.push_back(g.type(v));
  for (Value v : g.nodes[0].out) out.push_back(g.type(v));
  return node_seconds(g.nodes[0], in, out, d);
}

Graph product(DType t) {
  Graph g;
  const Value x =
      g.add_input("x", PortKind::activation, Type(t, {{'b', 1}, {'s', 4096}, {'e', 4096}}));
  const Value w = g.add_input("w", PortKind::param, Type(t, {{'f', 4096}, {'e', 4096}}));
  apply<Contract>(g, {"b s e, f e -> b s f", t}, {x, w});
  return g;
}

TEST(NodeSeconds, OfAProductAreThoseOfItsFlopsAtTheRateItReaches) {
  const Device d = device();
  const Seconds s = seconds_of(d, product(DType::bf16));
  const double flops = 2.0 * 4096 * 4096 * 4096;
  EXPECT_DOUBLE_EQ(s[Part::flops], flops / 1e14);
  EXPECT_NEAR(s.total(), flops / 1e14 / 0.8 / (4096.0 / (4096 + 64)), 1e-6);
}

TEST(NodeSeconds, Fp8DoublesTheRateAndCasts) {
  Device d = device();
  d.chip.fp8_flops_per_s = 2e14;
  d.chip.fp8_products = 0.8;
  const double plain = seconds_of(d, product(DType::bf16)).total();
  d.stack.fp8 = true;
  const Seconds s = seconds_of(d, product(DType::bf16));
  EXPECT_NEAR(s[Part::flops] + s[Part::products], plain / 2, plain / 100);
  EXPECT_GT(s[Part::memory], 0);
}

TEST(Seconds, ThatWereMeasuredKeepTheFlopsAndStretchTheLosses) {
  Seconds s;
  s[Part::flops] = 2;
  s[Part::products] = 1;
  s[Part::launches] = 3;
  const Seconds longer = s.lasting(10);
  EXPECT_DOUBLE_EQ(longer[Part::flops], 2);
  EXPECT_DOUBLE_EQ(longer[Part::products], 2);
  EXPECT_DOUBLE_EQ(longer[Part::launches], 6);
  EXPECT_DOUBLE_EQ(s.lasting(1.5)[Part::flops], 1.5);  // faster than the peak that is known
  EXPECT_DOUBLE_EQ(s.lasting(1.5).total(), 1.5);
  EXPECT_DOUBLE_EQ(Seconds().lasting(4)[Part::memory], 4);
}

TEST(NodeSeconds, MeasuredTablesTakePrecedence) {
  Device d = device();
  d.chip.efficiency["contract"] = {{1, 0.5}};
  const double flops = 2.0 * 4096 * 4096 * 4096;
  EXPECT_DOUBLE_EQ(seconds_of(d, product(DType::bf16)).total(), flops / 1e14 / 0.5);
}

TEST(NodeSeconds, StoredScoresCostMoreThanThoseThatAreNot) {
  Graph g;
  const Dim b{'b', 1}, s{'s', 2048}, t{'t', 2048}, h{'g', 16}, r{'r', 1}, d{'d', 128};
  const auto in = [&](const char* name, std::vector<Dim> dims, DType type) {
    return g.add_input(name, PortKind::activation, Type(type, std::move(dims)));
  };
  const Value q = in("q", {b, s, h, r, d}, DType::bf16), k = in("k", {b, t, h, d}, DType::bf16),
              v = in("v", {b, t, h, d}, DType::bf16), qp = in("qp", {b, s}, DType::i32),
              kp = in("kp", {b, t}, DType::i32), qs = in("qs", {b, s}, DType::i32),
              ks = in("ks", {b, t}, DType::i32);
  apply_all<Attention>(g, {0.1}, {q, k, v, qp, kp, qs, ks});
  Device stored = device();
  const Seconds flash = seconds_of(stored, g);
  stored.stack.attention = AttentionKernel::stored;
  EXPECT_GT(seconds_of(stored, g).total(), 3 * flash.total());
  EXPECT_DOUBLE_EQ(seconds_of(stored, g)[Part::flops], flash[Part::flops]);
}

TEST(NodeSeconds, MemoryBoundPassesAndLaunchesScaleWithTheStack) {
  Graph g;
  const Value x = g.add_input("x", PortKind::activation, Type(DType::bf16, {{'e', 1 << 20}}));
  apply<Add>(g, {}, {x, x});
  Device d = device();
  const double plain = seconds_of(d, g).total();
  EXPECT_DOUBLE_EQ(plain, 3 * 2.0 * (1 << 20) / 1e12);
  d.stack.memory_passes = 2;
  d.stack.host_s = 1;
  EXPECT_DOUBLE_EQ(seconds_of(d, g).total(), 2 * plain + 1);
}

}  // namespace
}  // namespace autarky
