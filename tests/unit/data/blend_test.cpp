#include "data/blend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

// The largest |samples given - share x samples| over the first n samples.
double worst_deviation(const std::vector<double>& weights, std::int64_t n) {
  Blend blend(weights);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::int64_t> given(weights.size());
  double worst = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto [source, index] = blend.at(i);
    EXPECT_EQ(index, given[std::size_t(source)]++);
    for (std::size_t j = 0; j < weights.size(); ++j)
      worst = std::max(worst, std::abs(double(given[j]) - weights[j] / sum * double(i + 1)));
  }
  return worst;
}

TEST(Blend, EverySourceHasItsShareWithinOneSampleAtEveryTime) {
  EXPECT_LE(worst_deviation({1, 1}, 1000), 0.51);
  EXPECT_LT(worst_deviation({0.7, 0.3}, 1000), 1);
  EXPECT_LT(worst_deviation({1e9, 2e6, 3e3}, 100000), 1);
  EXPECT_LT(worst_deviation({5, 1, 1, 1, 1, 1}, 10000), 1);
  const Random random{5};
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    std::vector<double> weights;
    for (std::uint64_t j = 0; j < 2 + trial % 9; ++j)
      weights.push_back(std::exp(4 * random.normal(trial * 100 + j)));
    EXPECT_LT(worst_deviation(weights, 2000), 1) << trial;
  }
}

TEST(Blend, OneSourceGivesAll) {
  Blend blend(std::vector<double>{0.25});
  EXPECT_EQ(blend.at(12345678901).index, 12345678901);
}

TEST(Blend, AChoiceDoesNotDependOnWhatWasAskedBefore) {
  const std::vector<double> weights{3, 2, 1.5};
  Blend forward(weights);
  std::vector<Blend::Choice> all;
  for (std::int64_t i = 0; i < 500; ++i) all.push_back(forward.at(i));
  Blend other(weights);
  for (const std::int64_t i : {499, 0, 17, 17, 16, 400, 399, 1}) {
    const auto choice = other.at(i);
    EXPECT_EQ(choice.source, all[std::size_t(i)].source) << i;
    EXPECT_EQ(choice.index, all[std::size_t(i)].index) << i;
  }
}

TEST(Blend, GoesFarAheadByItsPeriod) {
  Blend blend(std::vector<double>{3, 1});  // exact quarters: period 2^30
  const std::int64_t far = (std::int64_t(5) << 30) + 2;
  Blend near(std::vector<double>{3, 1});
  EXPECT_EQ(blend.at(far).source, near.at(2).source);
  EXPECT_EQ(blend.at(far).index,
            near.at(2).index + 5 * (std::int64_t(1) << 30) / 4 * (near.at(2).source == 0 ? 3 : 1));
}

TEST(Blend, WeightsMustBePositiveNumbers) {
  for (const double wrong : {0.0, -1.0, double(INFINITY), double(NAN)}) {
    const std::vector<double> weights{1, wrong};
    EXPECT_TRUE(contains(input_error_of([&] { Blend{weights}; }), "weight of source 2")) << wrong;
  }
}

}  // namespace
}  // namespace autarky
