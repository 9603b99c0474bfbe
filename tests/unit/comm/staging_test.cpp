#include "comm/mpi/staging.h"

#include <gtest/gtest.h>

#include <set>

namespace autarky::mpi {
namespace {

TEST(Staging, IsSharedByAllReductions) {
  Staging staging;
  const auto first = staging.take(4), second = staging.take(4);
  ASSERT_EQ(first.size(), 4u);
  ASSERT_EQ(second.size(), 4u);
  std::set<std::byte*> all(first.begin(), first.end());
  all.insert(second.begin(), second.end());
  EXPECT_EQ(all.size(), 8u);
  EXPECT_TRUE(staging.take(1).empty());
  staging.give(first);
  const auto third = staging.take(3);
  for (std::byte* segment : third) EXPECT_TRUE(all.contains(segment));
  EXPECT_EQ(third.size(), 3u);
  EXPECT_EQ(staging.bytes(), Staging::kSegments * Stream::kSegment);
}

TEST(Staging, GivesAGroupOfManyWhatItNeedsWhenNobodyHoldsAny) {
  Staging staging;
  const auto held = staging.take(1);
  EXPECT_TRUE(staging.take(2 * Staging::kSegments).empty());
  staging.give(held);
  EXPECT_EQ(staging.take(2 * Staging::kSegments).size(), 2 * Staging::kSegments);
}

}  // namespace
}  // namespace autarky::mpi
