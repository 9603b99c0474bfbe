#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/error.h"
#include "serve/generate.h"

namespace autarky {
namespace {

// How often each of three tokens with probabilities 1/8, 2/8, 5/8 is drawn, as shares.
std::array<double, 3> shares(const SamplingOptions& options) {
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(5.0f)};
  constexpr int kDraws = 20'000;
  std::array<double, 3> counts = {};
  for (int i = 0; i < kDraws; ++i)
    counts[std::size_t(sample_token(logits, {}, options, i))] += 1.0 / kDraws;
  return counts;
}

void expect_shares(const SamplingOptions& options, std::array<double, 3> wanted) {
  const auto got = shares(options);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(got[i], wanted[i], 0.015) << i;  // four standard deviations
    if (wanted[i] == 0) {
      EXPECT_EQ(got[i], 0) << i;
    }
  }
}

std::int32_t greedy(std::vector<float> logits, std::vector<std::int32_t> seen = {},
                    double penalty = 1) {
  SamplingOptions options;
  options.greedy = true;
  options.repetition_penalty = penalty;
  return sample_token(logits, seen, options, 0);
}

TEST(SampleToken, GreedyTakesTheGreatestAndOfEqualsTheFirst) {
  EXPECT_EQ(greedy({1, 3, 2}), 1);
  EXPECT_EQ(greedy({1, 3, 2, 3}), 1);
  EXPECT_EQ(greedy({-5, -1, -7}), 1);
}

TEST(SampleToken, ThePenaltyDividesPositiveAndMultipliesNegativeLogits) {
  EXPECT_EQ(greedy({2, 3, -1}, {1}), 1);
  EXPECT_EQ(greedy({2, 3, -1}, {1}, 2), 0);       // 3 / 2 < 2
  EXPECT_EQ(greedy({-1, -1.5f}, {0}, 2), 1);      // -1 * 2 < -1.5
  EXPECT_EQ(greedy({1.2f, 4}, {1, 1, 1}, 3), 1);  // once: 4 / 3 > 1.2
  EXPECT_EQ(greedy({1.2f, 4}, {1, 0}, 3), 1);
}

TEST(SampleToken, DrawsByProbability) { expect_shares({}, {0.125, 0.25, 0.625}); }

TEST(SampleToken, TheTemperatureDividesLogits) {
  SamplingOptions options;
  options.temperature = 0.5;  // probabilities squared
  expect_shares(options, {1 / 30.0, 4 / 30.0, 25 / 30.0});
  options.temperature = 1e-9;
  expect_shares(options, {0, 0, 1});
}

TEST(SampleToken, TopKKeepsTheKMostLikely) {
  SamplingOptions options;
  options.top_k = 2;
  expect_shares(options, {0, 2 / 7.0, 5 / 7.0});
  options.top_k = 1;
  expect_shares(options, {0, 0, 1});
  options.top_k = 50;
  expect_shares(options, {0.125, 0.25, 0.625});
}

TEST(SampleToken, TopPKeepsTheFewestThatReachIt) {
  SamplingOptions options;
  options.top_p = 0.6;  // 5/8 is enough
  expect_shares(options, {0, 0, 1});
  options.top_p = 0.7;
  expect_shares(options, {0, 2 / 7.0, 5 / 7.0});
  options.top_p = 0.9;
  expect_shares(options, {0.125, 0.25, 0.625});
}

TEST(SampleToken, TopPCountsWhatTopKLeft) {
  SamplingOptions options;
  options.top_k = 2;
  options.top_p = 0.71;  // 5/7 = 0.714
  expect_shares(options, {0, 0, 1});
}

TEST(SampleToken, DependsOnSeedAndIndexAlone) {
  const std::vector<float> logits(100, 0.0f);
  const auto text = [&](std::uint64_t seed) {
    SamplingOptions options;
    options.seed = seed;
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(sample_token(logits, {}, options, i));
    return tokens;
  };
  EXPECT_EQ(text(1), text(1));
  EXPECT_NE(text(1), text(2));
}

TEST(SampleToken, OptionsThatMakeNoSenseAreRefused) {
  const auto refused = [](auto change) {
    SamplingOptions options;
    change(options);
    EXPECT_THROW(validate(options), InputError);
  };
  EXPECT_NO_THROW(validate({}));
  refused([](auto& o) { o.temperature = 0; });
  refused([](auto& o) { o.temperature = std::nan(""); });
  refused([](auto& o) { o.top_k = -1; });
  refused([](auto& o) { o.top_p = 0; });
  refused([](auto& o) { o.top_p = 1.01; });
  refused([](auto& o) { o.repetition_penalty = 0; });
  refused([](auto& o) { o.max_new_tokens = 0; });
}

}  // namespace
}  // namespace autarky
