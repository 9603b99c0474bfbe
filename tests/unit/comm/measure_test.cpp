#include "comm/measure.h"

#include <gtest/gtest.h>

#include "comm/local/local_comm.h"

namespace autarky {
namespace {

TEST(MeasureCollectives, EveryOneTakesTimeOnEveryRankAndSize) {
  run_local_ranks(3, [](Comm& comm) {
    for (std::size_t c = 0; c < kCollectiveNames.size(); ++c)
      for (const std::size_t bytes : {12, 4096, 100'000})
        EXPECT_GT(measured_seconds(comm, CollectiveKind(c), bytes), 0) << kCollectiveNames[c];
  });
}

TEST(MeasureCollectives, ARingSendsEachPartOnceOrTwice) {
  EXPECT_DOUBLE_EQ(bus_bytes(CollectiveKind::all_reduce, 1000, 4), 1500);
  EXPECT_DOUBLE_EQ(bus_bytes(CollectiveKind::all_gather, 1000, 4), 750);
}

}  // namespace
}  // namespace autarky
