#include "sim/chip.h"

#include <gtest/gtest.h>

#include "ops/contract.h"
#include "ops/rms_norm.h"

namespace autarky {
namespace {

ChipModel chip() {
  ChipModel c;
  c.flops_per_s = {{DType::f32, 100}, {DType::bf16, 200}};
  c.bytes_per_s = 10;
  c.efficiency["x"] = {{4, 0.2}, {16, 0.6}};
  return c;
}

TEST(Chip, EfficiencyIsLinearInTheLogarithmAndConstantBeyond) {
  EXPECT_DOUBLE_EQ(chip().efficiency_at("x", 8), 0.4);
  EXPECT_DOUBLE_EQ(chip().efficiency_at("x", 4), 0.2);
  EXPECT_DOUBLE_EQ(chip().efficiency_at("x", 0), 0.2);
  EXPECT_DOUBLE_EQ(chip().efficiency_at("x", 1000), 0.6);
  EXPECT_DOUBLE_EQ(chip().efficiency_at("unknown", 8), 1);
}

TEST(Chip, RooflineIsTheSlowerOfProductsAndMemory) {
  EXPECT_DOUBLE_EQ(chip().roofline_s({.flops = 1000, .bytes = 10}, DType::bf16), 5);
  EXPECT_DOUBLE_EQ(chip().roofline_s({.flops = 1000, .bytes = 10}, DType::f32), 10);
  EXPECT_DOUBLE_EQ(chip().roofline_s({.flops = 10, .bytes = 1000}, DType::f32), 100);
  EXPECT_DOUBLE_EQ(chip().peak(DType::f16), 100);  // a type without a peak of its own
}

TEST(Chip, TheThreeFormsOfAContractionAreKeptApart) {
  const Type x(DType::f32, {{'b', 1}, {'s', 4}, {'e', 8}}), w(DType::f32, {{'f', 6}, {'e', 8}});
  const Type h(DType::f32, {{'b', 1}, {'s', 4}, {'f', 6}});
  const auto key = [](const std::string& spec, const Type& out) {
    return efficiency_key(op_info<Contract>(), Contract::Attrs{spec}, {&out, 1});
  };
  EXPECT_EQ(key("b s e, f e -> b s f", h), "contract");
  EXPECT_EQ(key("b s f, f e -> b s e", x), "contract.inputs");
  EXPECT_EQ(key("b s f, b s e -> f e", w), "contract.weights");
  EXPECT_EQ(efficiency_key(op_info<RmsNorm>(), RmsNorm::Attrs{}, {&x, 1}), "rms_norm");
}

}  // namespace
}  // namespace autarky
