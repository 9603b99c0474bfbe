// What the search leaves out unseen must not be quicker than it says.
#include "plan/bounds.h"

#include <gtest/gtest.h>

#include "models/presets.h"
#include "sim/calibration.h"

namespace autarky {
namespace {

class BoundsOf : public testing::TestWithParam<const char*> {};

TEST_P(BoundsOf, AreBelowTheStepsOfTheirLayouts) {
  PlanRequest r;
  r.model = preset_config("llama-160m");
  r.seq = 1024;
  r.global_batch = 16;
  r.groups = {chip_group(device("ascend-910b", "", GetParam(), calibration()), 8)};
  const auto all = all_layouts(r);
  constexpr std::size_t kTried = 40;
  Bounds bounds(r);
  std::vector<const EngineOptions*> options;
  for (std::size_t i = 0; i < kTried; ++i)
    options.push_back(&all[i * (all.size() - 1) / (kTried - 1)].options);
  bounds.compile(options);
  double least_share = 1;
  for (std::size_t i = 0; i < kTried; ++i) {
    const Candidate& c = all[i * (all.size() - 1) / (kTried - 1)];
    const double step_s =
        predict(c.options, stand_in(c.options, Pass::schedule), r.groups[0].device).step_s;
    const double least_s = bounds.least_seconds(c, layers_of_parts(c.options));
    EXPECT_LE(least_s, step_s) << i;
    least_share = std::min(least_share, least_s / step_s);
  }
  EXPECT_GT(least_share, 0.1);  // or it bounds nothing
}

INSTANTIATE_TEST_SUITE_P(Profiles, BoundsOf,
                         testing::Values("autarky", "mindspore", "megatron-core-2024", "fsdp"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

// Collectives of a layer may run beside what does not need them, in whatever order.
TEST(BlockCosts, AreAboveTheLeastOfAnyOrder) {
  EngineOptions o;
  o.model = preset_config("llama-160m");
  o.seq = 1024;
  o.batch = 1;
  o.microbatches = 2;
  o.mesh = training_mesh(o.model, 1, 2, 1);
  const Device d = device("ascend-910b", "", "autarky", calibration());
  const Program program = stand_in(o, Pass::schedule).front();
  for (const auto& block : program.blocks) {
    const BlockCost cost = block_cost(block.graph, program.mesh, d);
    EXPECT_LE(cost.least_s(false), cost.seconds.total() * (1 + 1e-12)) << block.graph.name;
    EXPECT_LE(cost.least_s(true), cost.least_s(false)) << block.graph.name;
    if (block.graph.name == "layer.F") {
      EXPECT_GT(cost.least_s(false), cost.seconds.total() - 0.5 * cost.seconds[Part::tensor]);
    }
  }
}

}  // namespace
}  // namespace autarky
