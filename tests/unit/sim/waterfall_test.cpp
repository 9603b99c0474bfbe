#include "sim/waterfall.h"

#include <gtest/gtest.h>

#include <map>

namespace autarky {
namespace {

TEST(Waterfall, NamesEachLossAndAddsUpToTheStep) {
  ChipModel chip;
  chip.flops_per_s = {{DType::f32, 100}, {DType::bf16, 200}};
  chip.bytes_per_s = 10;
  const std::vector<NodeTime> ops = {
      {"layer", "contract", "", 7, 1, {.flops = 1000, .bytes = 10}},      // roofline 5
      {"layer", "attention", "", 3, 1, {.flops = 400, .bytes = 5}},       // 2
      {"layer", "attention_grad", "", 5, 1, {.flops = 800, .bytes = 5}},  // 4
      {"layer", "rms_norm", "", 4, 2, {.flops = 100, .bytes = 30}},       // 3, FLOPs 0.5
  };
  std::map<std::string, double> part;
  double sum = 0;
  for (const auto& [name, seconds] : waterfall(ops, 20, 2000, chip, DType::bf16)) {
    part[name] = seconds;
    sum += seconds;
  }
  EXPECT_DOUBLE_EQ(sum, 20);
  EXPECT_DOUBLE_EQ(part.at("the model's FLOPs at the peak"), 10);
  EXPECT_DOUBLE_EQ(part.at("FLOPs beyond the model's"), 1.5);
  EXPECT_DOUBLE_EQ(part.at("memory traffic"), 2.5);
  EXPECT_DOUBLE_EQ(part.at("matrix products beyond their roofline"), 2);
  EXPECT_DOUBLE_EQ(part.at("attention beyond its roofline"), 2);
  EXPECT_DOUBLE_EQ(part.at("other kernels beyond their roofline"), 1);
  EXPECT_DOUBLE_EQ(part.at("between kernels"), 1);
}

}  // namespace
}  // namespace autarky
