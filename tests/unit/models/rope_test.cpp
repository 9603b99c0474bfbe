// The wanted numbers come from a short Python program that follows the papers in plain floats: the
// frequencies theta**(-2*i/d); YaRN's ramp ends found by bisection on the number of turns (5 and 10
// here), not by the closed form; Llama 3's three ranges by wavelength with an if.
#include "models/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace autarky {
namespace {

void expect_near(const std::vector<double>& found, const std::vector<double>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(found[i], wanted[i], 1e-13 * wanted[i]) << "pair " << i;
}

RopeConfig rope(RopeKind kind, double theta, double factor, std::int64_t original) {
  RopeConfig r;
  r.kind = kind;
  r.theta = theta;
  r.factor = factor;
  r.original_max_positions = original;
  return r;
}

TEST(Rope, PlainFrequenciesFallGeometrically) {
  expect_near(rope_inv_freq({}, 8, 1), {1.0, 0.1, 0.01, 0.001});
}

TEST(Rope, LinearDividesEveryFrequency) {
  expect_near(rope_inv_freq(rope(RopeKind::linear, 10000, 4, 0), 8, 1),
              {0.25, 0.025, 0.0025, 0.00025});
}

TEST(Rope, NtkStretchesOnlyBeyondTheOriginalPositions) {
  const RopeConfig r = rope(RopeKind::ntk, 10000, 2, 2048);
  expect_near(rope_inv_freq(r, 8, 100), {1.0, 0.1, 0.01, 0.001});
  expect_near(rope_inv_freq(r, 8, 8192),
              {1.0, 0.052275795857471025, 0.0027327588325319844, 0.00014285714285714287});
}

TEST(Rope, YarnKeepsTheFastPairsAndStretchesTheSlowOnes) {
  expect_near(
      rope_inv_freq(rope(RopeKind::yarn, 1e6, 4, 32768), 32, 1),
      {1.0, 0.4216965034285822, 0.1778279410038923, 0.07498942093324558, 0.03162277660168379,
       0.01333521432163324, 0.0047799012641179675, 0.0016599615939631588, 0.00055,
       0.0001686786013714329, 4.445698525097307e-05, 1.8747355233311396e-05, 7.905694150420949e-06,
       3.33380358040831e-06, 1.4058533129758728e-06, 5.928434264154138e-07});
}

TEST(Rope, Llama3BlendsBetweenTwoWavelengths) {
  expect_near(
      rope_inv_freq(rope(RopeKind::llama3, 500000, 8, 8192), 32, 1),
      {1.0, 0.44036660267178046, 0.19392274474868576, 0.08539710028576561, 0.03760603093086393,
       0.016560440080994446, 0.007292664737217109, 0.003211445994752591, 0.0005248461609929547,
       7.78465527393245e-05, 3.428102195952591e-05, 1.509621717643313e-05, 6.647869871181235e-06,
       2.9274998701761677e-06, 1.2891731721515574e-06, 5.677088100759837e-07});
}

// 2^(ceil(log2(factor)) + 1) - 1 is 3 for a factor above 1 to 2, 7 up to 4; theta 10000 becomes
// 10000 * 3^(8/6), 10000 * 7^(8/6).
TEST(Rope, TelechatStretchesInPowersOfTwo) {
  const auto frequencies = [](double factor) {
    return rope_inv_freq(rope(RopeKind::telechat, 10000, factor, 8192), 8, 1);
  };
  const std::vector<double> three = {1.0, 0.06933612743506347, 0.0048074985676913612,
                                     0.00033333333333333335};
  const std::vector<double> seven = {1.0, 0.052275795857471025, 0.0027327588325319844,
                                     0.00014285714285714287};
  expect_near(frequencies(1), {1.0, 0.1, 0.01, 0.001});
  expect_near(frequencies(1.5), three);
  expect_near(frequencies(2), three);
  expect_near(frequencies(4), seven);
  EXPECT_EQ(rope_attention_factor(rope(RopeKind::telechat, 10000, 4, 8192)), 1);
}

TEST(Rope, OnlyYarnScalesTheAttention) {
  RopeConfig r = rope(RopeKind::llama3, 500000, 8, 8192);
  EXPECT_EQ(rope_attention_factor(r), 1);
  r = rope(RopeKind::yarn, 1e6, 4, 32768);
  EXPECT_DOUBLE_EQ(rope_attention_factor(r), 1.138629436111989);
  r.factor = 40;
  r.mscale = 0.707;
  r.mscale_all_dim = 1;
  EXPECT_DOUBLE_EQ(rope_attention_factor(r), 0.9210423553163399);
  r.attention_factor = 1.5;
  EXPECT_EQ(rope_attention_factor(r), 1.5);
}

}  // namespace
}  // namespace autarky
