// How layers are cut into the parts of a pipeline.
#include <gtest/gtest.h>

#include "unit/passes/broken_programs.h"

namespace autarky {
namespace {

using Parts = std::vector<std::pair<int, int>>;

StepOptions cut(int stages, int chunks = 1, std::vector<int> layers = {}) {
  StepOptions o = small_options(1, 1, stages);
  o.chunks = chunks;
  o.stage_layers = std::move(layers);
  if (chunks > 1) o.schedule = PipelineSchedule::interleaved;
  return o;
}

TEST(PartLayers, AreNearlyEvenUnlessTheyAreGiven) {
  EXPECT_EQ(part_layers(5, cut(1)), (Parts{{0, 5}}));
  EXPECT_EQ(part_layers(5, cut(2)), (Parts{{0, 2}, {2, 5}}));
  EXPECT_EQ(part_layers(5, cut(2, 2)), (Parts{{0, 1}, {1, 2}, {2, 3}, {3, 5}}));
  EXPECT_EQ(part_layers(5, cut(2, 1, {4, 1})), (Parts{{0, 4}, {4, 5}}));
  EXPECT_EQ(part_layers(6, cut(2, 2, {1, 2, 2, 1})), (Parts{{0, 1}, {1, 3}, {3, 5}, {5, 6}}));
}

TEST(PartLayers, TheErrorNamesTheNearestThatFits) {
  expect_message(
      [] { part_layers(3, cut(4)); },
      {"3 layers cannot be cut into 4 stages", "The nearest that fits: pipeline_parallel_size 3"});
  expect_message([] { part_layers(7, cut(2, 4)); },
                 {"7 layers cannot be cut into 2 stages of 4 chunks",
                  "The nearest that fits: virtual_pipeline_size 3"});
  expect_message([] { part_layers(3, cut(2, 2)); },
                 {"The nearest that fits: virtual_pipeline_size 1 and pipeline_schedule 1f1b"});
  expect_message([] { part_layers(1, cut(2, 2)); }, {"fits: pipeline_parallel_size 1"});
}

TEST(PartLayers, GivenOnesAddUpToTheModel) {
  for (const std::vector<int>& wrong :
       {std::vector<int>{2, 2}, {1, 1, 3}, {5, 0}, {6, -1}, {5}, {2, 4}})
    expect_message([&] { part_layers(5, cut(2, 1, wrong)); },
                   {"stage_layers does not fit the model and the pipeline",
                    "2 numbers above 0 that add up to 5"});
}

TEST(PartLayers, ChunksAndScheduleBelongTogether) {
  StepOptions o = cut(2, 2);
  o.schedule = PipelineSchedule::zero_bubble;
  expect_message([&] { part_layers(4, o); },
                 {"the zero-bubble schedule runs stages whole", "virtual_pipeline_size 2"});
  expect_message([&] { part_layers(4, cut(1, 2)); }, {"one stage has nothing to interleave with"});
  o = cut(2);
  o.schedule = PipelineSchedule::interleaved;
  expect_message([&] { part_layers(4, o); }, {"stages of 2 chunks or more"});
}

TEST(PartLayers, TheStageWithTheHeadGetsFewer) {
  const auto counts = [](int layers, int stages, double head) {
    StepOptions o;
    o.mesh.size(Axis::pp) = stages;
    o.head_layers = head;
    std::vector<int> all;
    for (const auto& [first, end] : part_layers(layers, o)) all.push_back(end - first);
    return all;
  };
  EXPECT_EQ(counts(12, 2, 0), (std::vector{6, 6}));
  EXPECT_EQ(counts(12, 2, 5.5), (std::vector{9, 3}));
  EXPECT_EQ(counts(12, 4, 2), (std::vector{3, 3, 4, 2}));
  EXPECT_EQ(counts(8, 2, 100), (std::vector{7, 1}));
}

}  // namespace
}  // namespace autarky
