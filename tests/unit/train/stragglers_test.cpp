#include "train/stragglers.h"

#include <gtest/gtest.h>

namespace autarky {
namespace {

std::optional<Straggler> after(StragglerWatch& watch, std::size_t steps,
                               const std::vector<double>& own_s) {
  std::optional<Straggler> found;
  for (std::size_t i = 0; i < steps; ++i)
    if (const auto now = watch.add(own_s)) found = now;
  return found;
}

TEST(Stragglers, ARankThatIsSlowStepAfterStepIsNamedOnce) {
  StragglerWatch watch;
  EXPECT_FALSE(after(watch, StragglerWatch::kSteps - 1, {1, 1.1, 1.6, 1}));
  const auto found = after(watch, 1, {1, 1.1, 1.6, 1});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rank, 2);
  EXPECT_EQ(found->own_s, 1.6);
  EXPECT_EQ(found->others_s, 1);
  EXPECT_FALSE(after(watch, 50, {1, 1.1, 1.6, 1}));
  EXPECT_FALSE(after(watch, 50, {1, 1, 1, 1}));
  EXPECT_EQ(after(watch, 50, {2, 1, 1, 1})->rank, 0);
}

TEST(Stragglers, AFewSlowStepsAndSmallDifferencesAreNone) {
  StragglerWatch watch;
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(watch.add({1, i % 3 == 0 ? 9 : 1.2}));
}

TEST(Stragglers, TheNoteSaysWhoWhereAndByHowMuch) {
  EXPECT_EQ(
      describe({3, 1.8, 1.0}, "node7"),
      "rank 3 on node7 is slow: 1.8 s of its own in a step, where the others take 1.0 s (medians "
      "of 20 steps); all wait for it");
}

}  // namespace
}  // namespace autarky
