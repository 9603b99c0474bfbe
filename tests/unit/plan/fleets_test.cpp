#include "plan/fleets.h"

#include <gtest/gtest.h>

#include "models/presets.h"

namespace autarky {
namespace {

FleetRequest request(std::vector<std::string> chips) {
  FleetRequest r;
  r.plan.model = preset_config("gpt2-124m");
  r.plan.model.layers = 2;
  r.plan.seq = 1024;
  r.plan.global_batch = 4;
  r.chips = std::move(chips);
  r.profile = "autarky";
  r.tokens = 1e10;
  r.chip_days_per_failure = 2000;
  r.storage_bytes_per_s = 50e9;
  return r;
}
const FleetProgress kSilent = [](std::int64_t, std::int64_t) {};

TEST(Fleets, FewestChipsWithinTheDeadline) {
  FleetRequest r = request({"a100-40-sxm"});
  r.deadline_days = 0.2;
  const auto fleets = find_fleets(r, kSilent);
  ASSERT_EQ(fleets.size(), 1u);
  const Fleet& f = fleets[0];
  ASSERT_EQ(f.refused, "");
  EXPECT_LE(f.cost.days, 0.2);
  // With nine tenths of the time more are needed, and by an impossible one there are none.
  r.deadline_days = f.cost.days * 0.9;
  EXPECT_GT(find_fleets(r, kSilent)[0].chips, f.chips);
  r.deadline_days = f.cost.days / 1000;
  EXPECT_NE(find_fleets(r, kSilent)[0].refused, "");
}

TEST(Fleets, TheQuickestWithinTheBudget) {
  FleetRequest r = request({"ascend-910b", "a100-40-sxm"});
  r.budget_usd = 40;
  const auto fleets = find_fleets(r, kSilent);
  EXPECT_EQ(fleets[0].chip, "a100-40-sxm") << fleets[1].refused;  // those that there are come first
  EXPECT_LE(fleets[0].cost.money->middle(), 40);
  EXPECT_NE(fleets[1].refused.find("price"), std::string::npos);
  r.budget_usd = 90;
  EXPECT_LT(find_fleets(r, kSilent)[0].cost.days, fleets[0].cost.days);
  r.budget_usd = 0.01;
  EXPECT_NE(find_fleets(r, kSilent)[0].refused, "");
}

}  // namespace
}  // namespace autarky
