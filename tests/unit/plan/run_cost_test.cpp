#include "plan/run_cost.h"

#include <gtest/gtest.h>

#include <array>

#include "models/presets.h"

namespace autarky {
namespace {

Prediction half_waiting() {
  Prediction p;
  p.step_s = 2;
  p.tokens_per_s = 1e6;
  p.spent[Part::flops] = 1;
  p.spent[Part::bubble] = 1;
  return p;
}

TEST(RunCost, AddsUpDaysEnergyAndRent) {
  ChipSheet chip;
  chip.power_w = Figure{400, Mark::declared, ""};
  chip.price_usd_per_hour = PriceRange{2, 3, Mark::memory, ""};
  const RunCost cost = run_cost(std::array{PricedChips{chip, 100}}, half_waiting(), 8.64e10, 0.5);
  EXPECT_NEAR(cost.days, 2, 1e-9);  // one of training, as long again for failures
  EXPECT_NEAR(*cost.step_joules, 100 * 400 * 0.675 * 2, 1e-6);
  EXPECT_NEAR(*cost.kwh, 100 * 0.4 * 0.675 * 48, 1e-6);
  EXPECT_NEAR(cost.money->low, 100 * 48 * 2, 1e-6);
  EXPECT_NEAR(cost.money->high, 100 * 48 * 3, 1e-6);
  EXPECT_FALSE(cost.money->bought);
}

TEST(RunCost, SaysWhatIsUnknown) {
  ChipSheet chip;
  EXPECT_FALSE(run_cost(std::array{PricedChips{chip, 8}}, half_waiting(), 1e9, 1).kwh);
  EXPECT_FALSE(run_cost(std::array{PricedChips{chip, 8}}, half_waiting(), 1e9, 1).money);
  chip.price_usd = PriceRange{15000, 17000, Mark::memory, ""};
  const auto money = *run_cost(std::array{PricedChips{chip, 8}}, half_waiting(), 1e9, 1).money;
  EXPECT_TRUE(money.bought);
  EXPECT_NEAR(money.middle(), 8 * 16000, 1e-9);
}

TEST(RunCost, ComputeOptimalIsTwentyTokensAParameter) {
  EXPECT_NEAR(compute_optimal_tokens(preset_config("gpt2-124m")), 20 * 124.44e6, 1e6);
}

}  // namespace
}  // namespace autarky
