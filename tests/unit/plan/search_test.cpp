#include "plan/search.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "models/presets.h"
#include "plan/layouts.h"
#include "sim/calibration.h"

namespace autarky {
namespace {

PlanRequest request(const std::string& model, int chips, std::int64_t batch, double gigabytes) {
  PlanRequest r;
  r.model = preset_config(model);
  r.device = device("ascend-910b", "", "autarky", calibration());
  r.seq = 1024;
  r.global_batch = batch;
  r.chips = chips;
  r.memory_bytes = std::int64_t(gigabytes * 1e9);
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
  EXPECT_EQ(to_string(pruned.best[0].options), to_string(all.best[0].options));
  EXPECT_TRUE(all.best[0].fits);
}

INSTANTIATE_TEST_SUITE_P(Cases, Exhaustive,
                         testing::Values(SearchCase{"small", "llama-160m", 2, 4, 60},
                                         SearchCase{"large", "telechat2-7b", 2, 4, 200},
                                         SearchCase{"tight", "telechat2-7b", 2, 4, 90}),
                         [](const auto& test) { return std::string(test.param.name); });

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
  for (const auto& o : all) {
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
