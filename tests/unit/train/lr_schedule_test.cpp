#include "train/lr_schedule.h"

#include <gtest/gtest.h>

namespace autarky {
namespace {

ScheduleSection schedule(ScheduleKind kind, std::int64_t warmup, double ratio,
                         std::int64_t decay = 0) {
  return {.kind = kind, .warmup_steps = warmup, .min_lr_ratio = ratio, .decay_steps = decay};
}

TEST(LearningRate, RisesInAStraightLineDuringTheWarmUp) {
  for (const auto kind :
       {ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::wsd, ScheduleKind::constant}) {
    const auto s = schedule(kind, 4, 0.1);
    EXPECT_DOUBLE_EQ(learning_rate(s, 0.8, 100, 1), 0.2);
    EXPECT_DOUBLE_EQ(learning_rate(s, 0.8, 100, 2), 0.4);
    EXPECT_DOUBLE_EQ(learning_rate(s, 0.8, 100, 4), 0.8);
  }
}

TEST(LearningRate, CosineFallsToTheSmallestAtTheLastStep) {
  const auto s = schedule(ScheduleKind::cosine, 10, 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(s, 1, 70, 40), 0.55);   // half way: the mean
  EXPECT_DOUBLE_EQ(learning_rate(s, 1, 70, 30), 0.775);  // a third: cos(pi/3) = 1/2
  EXPECT_DOUBLE_EQ(learning_rate(s, 1, 70, 50), 0.325);
  EXPECT_DOUBLE_EQ(learning_rate(s, 1, 70, 70), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(s, 1, 70, 90), 0.1);
}

TEST(LearningRate, LinearFallsEvenly) {
  const auto s = schedule(ScheduleKind::linear, 0, 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(s, 2, 4, 1), 1.75);
  EXPECT_DOUBLE_EQ(learning_rate(s, 2, 4, 2), 1.5);
  EXPECT_DOUBLE_EQ(learning_rate(s, 2, 4, 4), 1.0);
}

TEST(LearningRate, WsdIsStableUntilTheLastSteps) {
  const auto s = schedule(ScheduleKind::wsd, 5, 0, 20);
  EXPECT_EQ(learning_rate(s, 1, 100, 6), 1);
  EXPECT_EQ(learning_rate(s, 1, 100, 80), 1);
  EXPECT_DOUBLE_EQ(learning_rate(s, 1, 100, 85), 0.75);
  EXPECT_EQ(learning_rate(s, 1, 100, 100), 0);
}

TEST(LearningRate, WsdDecaysOverATenthUnlessTold) {
  const auto s = schedule(ScheduleKind::wsd, 0, 0);
  EXPECT_EQ(learning_rate(s, 1, 100, 90), 1);
  EXPECT_DOUBLE_EQ(learning_rate(s, 1, 100, 95), 0.5);
  EXPECT_EQ(learning_rate(s, 1, 5, 4), 1);  // at least one step
  EXPECT_EQ(learning_rate(s, 1, 5, 5), 0);
}

TEST(LearningRate, ConstantStays) {
  EXPECT_EQ(learning_rate(schedule(ScheduleKind::constant, 0, 0), 3, 10, 10), 3);
}

TEST(LearningRate, ARunShorterThanItsWarmUpIsLegal) {
  EXPECT_DOUBLE_EQ(learning_rate(schedule(ScheduleKind::cosine, 20, 0.1), 1, 10, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(schedule(ScheduleKind::wsd, 20, 0.1, 50), 1, 10, 10), 0.5);
}

}  // namespace
}  // namespace autarky
