#include "plan/goodput.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/presets.h"

namespace autarky {
namespace {

// 419 unexpected interruptions in 54 days of 16,384 chips, over 90% of the time effective ("The
// Llama 3 Herd of Models", 2024, section 3.3.4).
TEST(Goodput, OfLlama3IsAsPublished) {
  FailureModel m;
  m.chips = 16384;
  m.chip_days_per_failure = 54.0 * 16384 / 419;
  m.spare_nodes = 16;
  const Goodput g = simulate_goodput(m, best_interval_s(m, 54), 54);
  EXPECT_NEAR(g.failures_per_day, 419.0 / 54, 1.2);  // three standard deviations of a Poisson count
  EXPECT_GT(g.share, 0.90);
  EXPECT_LT(g.share, 0.98);
  EXPECT_NEAR(g.share + g.checkpoint_share + g.repeated_share + g.down_share, 1, 1e-9);
}

// Over 90% effective on 12,288 chips, with failures known and the job begun anew within a quarter
// of an hour (MegaScale, Jiang et al. 2024, section 6.3). The rate of failures is not given: the
// default's, and half of it.
TEST(Goodput, OfMegaScaleIsAsPublished) {
  for (double chip_days : {2000.0, 4000.0}) {
    FailureModel m;
    m.chips = 12288;
    m.chip_days_per_failure = chip_days;
    m.detect_s = 600;
    m.restart_s = 300;
    m.spare_nodes = 16;
    EXPECT_GT(simulate_goodput(m, best_interval_s(m, 30), 30).share, 0.90) << chip_days;
  }
}

TEST(Goodput, WithoutFailuresOnlyCheckpointsCost) {
  FailureModel m;
  m.chip_days_per_failure = 1e12;
  const Goodput g = simulate_goodput(m, 90, 1);
  EXPECT_NEAR(g.share, 0.9, 1e-3);  // 10 s for every 90
  EXPECT_EQ(g.failures_per_day, 0);
}

TEST(Goodput, BestIntervalIsNearYoungsAndDalys) {
  FailureModel m;
  m.chips = 8192;
  m.spare_nodes = 100;
  const double young = young_interval_s(m), best = best_interval_s(m, 365);
  EXPECT_NEAR(young, std::sqrt(2 * m.checkpoint_s * 2000 * 86400 / 8192), 1e-6);
  EXPECT_NEAR(daly_interval_s(m) / young, 1, 0.1);
  EXPECT_LT(std::abs(std::log2(best / young)), 1);
}

// A failure while a checkpoint is being written costs the interval before it as well.
TEST(Goodput, ACheckpointCountsWhenItIsWhole) {
  FailureModel m;
  m.chips = 1024;
  m.spare_nodes = 100;
  const double at_once = simulate_goodput(m, 3600, 200).repeated_share;
  m.write_s = 1800;
  const Goodput slow = simulate_goodput(m, 3600, 200);
  // Half of the failures come while one is written, and lose twice what an average one does.
  EXPECT_NEAR(slow.repeated_share / at_once, 2, 0.2);
  EXPECT_NEAR(slow.share + slow.checkpoint_share + slow.repeated_share + slow.down_share, 1, 1e-9);
  EXPECT_GE(best_interval_s(m, 30), m.write_s);
}

TEST(Goodput, ACheckpointIsWeightsAndMoments) {
  const CheckpointCost c = checkpoint_cost(preset_config("gpt2-124m"), 8, 1e9);
  EXPECT_NEAR(c.bytes, 12 * 124.44e6, 1e7);
  EXPECT_NEAR(c.write_s, c.bytes / 1e9, 1e-9);
  EXPECT_NEAR(c.stop_s, c.bytes / 8 / 20e9, 1e-9);
}

TEST(Goodput, WithoutSparesTheJobWaitsForRepairs) {
  FailureModel m;
  m.chips = 1024;
  const double none = simulate_goodput(m, 600, 100).share;
  m.spare_nodes = 4;
  const double four = simulate_goodput(m, 600, 100).share;
  EXPECT_GT(four, none + 0.05);
}

TEST(Goodput, FallsWithTheNumberOfChips) {
  FailureModel m;
  m.spare_nodes = 1000;
  double before = 1;
  for (std::int64_t chips : {1024, 8192, 65536}) {
    m.chips = chips;
    const double share = simulate_goodput(m, best_interval_s(m, 30), 30).share;
    EXPECT_LT(share, before);
    before = share;
  }
}

}  // namespace
}  // namespace autarky
