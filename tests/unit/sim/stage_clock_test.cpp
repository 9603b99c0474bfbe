#include "sim/stage_clock.h"

#include <gtest/gtest.h>

namespace autarky {
namespace {

BlockCost block(double seconds, double data_s = 0, double message_s = 0) {
  BlockCost b;
  b.seconds[Part::flops] = seconds;
  b.data_s = data_s;
  b.message_s = message_s;
  return b;
}

TEST(StageClock, TransfersGoOnBesideComputation) {
  const Stack stack;
  StageClock clock(stack);
  clock.compute(block(10, 6));
  clock.compute(block(4));
  EXPECT_DOUBLE_EQ(clock.now(), 14);
  clock.wait_for_data();  // two of its six seconds are left
  EXPECT_DOUBLE_EQ(clock.now(), 16);
  EXPECT_DOUBLE_EQ(clock.spent()[Part::data], 2);
  EXPECT_DOUBLE_EQ(clock.spent().total(), clock.now());
}

TEST(StageClock, WhileBothRunBothAreSlower) {
  Stack stack;
  stack.interference = 0.5;
  StageClock clock(stack);
  clock.transfer(4);
  clock.compute(block(10));  // 4 of both in 6, then 6 alone
  EXPECT_DOUBLE_EQ(clock.now(), 12);
  clock.wait_for_data();
  EXPECT_DOUBLE_EQ(clock.now(), 12);
  EXPECT_DOUBLE_EQ(clock.spent()[Part::data], 2);
}

TEST(StageClock, WaitsForThatTransferAlone) {
  const Stack stack;
  StageClock clock(stack);
  const double first = clock.transfer(3);
  clock.transfer(5);
  clock.wait_for_data(first);
  EXPECT_DOUBLE_EQ(clock.now(), 3);
  clock.wait_for_data(first);
  EXPECT_DOUBLE_EQ(clock.now(), 3);
}

TEST(StageClock, WithoutOverlapEachTransferStopsTheDevice) {
  Stack stack;
  stack.overlap_gradients = false;
  StageClock clock(stack);
  clock.compute(block(10, 6));
  EXPECT_DOUBLE_EQ(clock.now(), 16);
}

TEST(StageClock, MessagesQueueOnTheWire) {
  Stack stack;
  StageClock clock(stack);
  clock.compute(block(1));
  EXPECT_DOUBLE_EQ(clock.send(2), 3);
  EXPECT_DOUBLE_EQ(clock.send(2), 5);
  EXPECT_DOUBLE_EQ(clock.now(), 1);
  stack.overlap_messages = false;
  StageClock stopped(stack);
  EXPECT_DOUBLE_EQ(stopped.send(2), 2);
  EXPECT_DOUBLE_EQ(stopped.now(), 2);
}

TEST(StageClock, TransfersGoOnInABubble) {
  const Stack stack;
  StageClock clock(stack);
  clock.transfer(4);
  clock.receive(3);
  EXPECT_DOUBLE_EQ(clock.spent()[Part::bubble], 3);
  clock.wait_for_data();
  EXPECT_DOUBLE_EQ(clock.now(), 4);
}

}  // namespace
}  // namespace autarky
