#include "plan/stage_sizes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>

namespace autarky {
namespace {

using Counts = std::vector<int>;

TEST(DivideLayers, GivesTheQuickerMore) {
  const StageLoad quick{1, 0, 100}, slow{2, 0, 100};
  EXPECT_EQ(divide_layers(12, 1, std::array{quick, quick}), (Counts{6, 6}));
  EXPECT_EQ(divide_layers(12, 1, std::array{slow, quick}), (Counts{4, 8}));
  EXPECT_EQ(divide_layers(15, 1, std::array{quick, slow, quick}), (Counts{6, 3, 6}));
}

TEST(DivideLayers, CountsEmbeddingAndHeadAsWork) {
  EXPECT_EQ(divide_layers(10, 1, std::array{StageLoad{1, 0, 100}, StageLoad{1, 4, 100}}),
            (Counts{7, 3}));
}

TEST(DivideLayers, KeepsToWhatMemoryHolds) {
  const std::array stages{StageLoad{1, 0, 5}, StageLoad{1, 0, 100}};
  EXPECT_EQ(divide_layers(12, 1, stages), (Counts{5, 7}));
  EXPECT_EQ(divide_layers(106, 1, stages), std::nullopt);
  EXPECT_EQ(divide_layers(12, 6, stages), std::nullopt);
}

// Beside all ways to divide them.
TEST(DivideLayers, LeavesTheSlowestStageAsQuickAsCanBe) {
  const std::array stages{StageLoad{1.3, 0.7, 4}, StageLoad{0.4, 0, 6}, StageLoad{0.9, 2.1, 9}};
  const auto slowest = [&](const Counts& counts) {
    double most = 0;
    for (std::size_t s = 0; s < counts.size(); ++s)
      most = std::max(most, stages[s].ends_s + counts[s] * stages[s].layer_s);
    return most;
  };
  for (int layers = 3; layers <= 19; ++layers) {
    double least = std::numeric_limits<double>::infinity();
    for (int a = 1; a <= 4; ++a)
      for (int b = 1; b <= 6; ++b)
        if (const int c = layers - a - b; c >= 1 && c <= 9)
          least = std::min(least, slowest({a, b, c}));
    const auto counts = divide_layers(layers, 1, stages);
    ASSERT_TRUE(counts) << layers;
    EXPECT_DOUBLE_EQ(slowest(*counts), least) << layers;
  }
}

TEST(LayersOfChunks, AddUpToTheStages) {
  EXPECT_EQ(layers_of_chunks({5, 2, 4}, 2), (Counts{3, 1, 2, 2, 1, 2}));
  EXPECT_EQ(layers_of_chunks({5, 2, 4}, 1), (Counts{5, 2, 4}));
}

}  // namespace
}  // namespace autarky
