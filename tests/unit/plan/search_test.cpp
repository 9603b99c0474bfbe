#include "plan/search.h"

#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "models/presets.h"
#include "plan/layouts.h"
#include "sim/calibration.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

PlanRequest request(const std::string& model, int chips, std::int64_t batch, double gigabytes) {
  PlanRequest r;
  r.model = preset_config(model);
  r.seq = 1024;
  r.global_batch = batch;
  r.groups = {
      {device("ascend-910b", "", "autarky", calibration()), chips, std::int64_t(gigabytes * 1e9)}};
  r.keep = 5;
  return r;
}

struct SearchCase {
  const char* name;
  const char* model;
  int chips;
  std::int64_t batch;
  double gigabytes;
};

class Exhaustive : public testing::TestWithParam<SearchCase> {};

TEST_P(Exhaustive, SearchFindsWhatTryingAllLayoutsFinds) {
  const SearchCase& c = GetParam();
  const PlanRequest r = request(c.model, c.chips, c.batch, c.gigabytes);
  const auto quiet = [](std::int64_t, std::int64_t) {};
  const SearchResult pruned = search_layouts(r, quiet), all = search_layouts(r, quiet, false);
  EXPECT_EQ(pruned.layouts, all.layouts);
  EXPECT_EQ(all.bounded, 0);
  EXPECT_GT(pruned.bounded, 0);  // or the search has shown nothing
  ASSERT_EQ(pruned.best.size(), all.best.size());
  for (std::size_t i = 0; i < all.best.size(); ++i)
    EXPECT_DOUBLE_EQ(pruned.best[i].prediction.step_s, all.best[i].prediction.step_s);
  EXPECT_EQ(to_string(pruned.best[0], r), to_string(all.best[0], r));
  EXPECT_TRUE(all.best[0].fits);
}

INSTANTIATE_TEST_SUITE_P(Cases, Exhaustive,
                         testing::Values(SearchCase{"small", "llama-160m", 2, 4, 60},
                                         SearchCase{"large", "telechat2-7b", 2, 4, 200},
                                         SearchCase{"tight", "telechat2-7b", 2, 4, 90}),
                         [](const auto& test) { return std::string(test.param.name); });

// Chips with `factor` times the figures of those there are.
ChipGroup quicker(ChipGroup group, double factor) {
  for (auto& [type, peak] : group.device.chip.flops_per_s) peak *= factor;
  group.device.chip.bytes_per_s *= factor;
  group.device.stack.host_s /= factor;
  for (auto& link : group.device.chip.links) {
    link.bytes_per_s *= factor;
    link.pair_bytes_per_s *= factor;
    link.latency_s /= factor;
  }
  return group;
}

TEST(MixedSearch, FindsWhatTryingAllLayoutsFinds) {
  PlanRequest r = request("llama-160m", 2, 8, 60);
  r.groups.push_back(quicker(r.groups[0], 2));
  const auto quiet = [](std::int64_t, std::int64_t) {};
  const SearchResult pruned = search_layouts(r, quiet), all = search_layouts(r, quiet, false);
  EXPECT_GT(pruned.bounded, 0);
  ASSERT_EQ(pruned.best.size(), all.best.size());
  for (std::size_t i = 0; i < all.best.size(); ++i)
    EXPECT_DOUBLE_EQ(pruned.best[i].prediction.step_s, all.best[i].prediction.step_s);
}

TEST(MixedSearch, SizesStagesToTheirChips) {
  PlanRequest r = request("llama-160m", 1, 32, 60);
  r.model.layers = 24;
  r.groups.push_back(quicker(r.groups[0], 2));
  const auto quiet = [](std::int64_t, std::int64_t) {};
  const PlannedLayout best = search_layouts(r, quiet).best.front();
  ASSERT_EQ(best.stage_groups.size(), 2u);
  ASSERT_EQ(best.options.mesh.size(Axis::pp), 2);
  std::array<int, 2> layers = {0, 0};  // by group
  for (std::size_t k = 0; k < best.options.stage_layers.size(); ++k)
    layers[best.stage_groups[k % 2].group] += best.options.stage_layers[k];
  EXPECT_EQ(layers[0] + layers[1], 24);
  EXPECT_NEAR(layers[1], 2 * layers[0], 6) << to_string(best, r);  // the head is about 2 layers
  for (const auto& group : r.groups) {
    PlanRequest alone = r;
    alone.groups = {group};
    EXPECT_LT(best.prediction.step_s, search_layouts(alone, quiet).best.front().prediction.step_s);
  }
}

// A kind with little memory gets few layers.
TEST(MixedSearch, KeepsToTheMemoryOfEachKind) {
  PlanRequest r = request("llama-160m", 1, 8, 60);
  r.groups.push_back(r.groups[0]);
  const auto quiet = [](std::int64_t, std::int64_t) {};
  r.groups[1].memory_bytes = 1'500'000'000;
  const PlannedLayout best = search_layouts(r, quiet).best.front();
  ASSERT_TRUE(best.fits) << to_string(best, r);
  const auto planned = planned_memory(best.options, std::array{0, 1});
  for (std::size_t s = 0; s < 2; ++s)
    EXPECT_LE(total(planned[s]), r.groups[best.stage_groups[s].group].memory_bytes) << s;
}

TEST(MixedSearch, WantsStagesOfOneKindEach) {
  PlanRequest r = request("llama-160m", 13, 8, 60);
  r.groups.push_back(r.groups[0]);
  r.groups[1].chips = 7;  // 20 stages of one chip, for 12 layers
  EXPECT_NE(input_error_of([&] {
              search_layouts(r, [](std::int64_t, std::int64_t) {});
            }).find("13 and 7 chips"),
            std::string::npos);
}

TEST(Search, NamesTheNearestThatDoesNotFit) {
  const auto result =
      search_layouts(request("telechat2-7b", 2, 2, 20), [](std::int64_t, std::int64_t) {});
  ASSERT_EQ(result.best.size(), 1u);
  EXPECT_FALSE(result.best[0].fits);
  EXPECT_GT(result.best[0].memory_bytes, 20'000'000'000);
}

TEST(Layouts, UseAllChipsAndTheWholeBatch) {
  const PlanRequest r = request("llama-160m", 12, 24, 60);
  const auto all = all_layouts(r);
  EXPECT_GT(all.size(), 100u);
  for (const auto& [o, groups] : all) {
    EXPECT_EQ(o.mesh.ranks(), 12);
    EXPECT_EQ(o.batch * o.microbatches * o.mesh.size(Axis::dp), 24);
  }
}

TEST(Layouts, ThereAreNoneWhereCountsDoNotDivide) {
  EXPECT_THROW(
      search_layouts(request("llama-160m", 7919, 3, 60), [](std::int64_t, std::int64_t) {}),
      InputError);
}

}  // namespace
}  // namespace autarky
