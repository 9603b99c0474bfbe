#include "data/shuffle.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <vector>

namespace autarky {
namespace {

std::vector<std::int64_t> images(const KeyedPermutation& permutation) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < permutation.size(); ++i) all.push_back(permutation(i));
  return all;
}

bool is_bijection(const std::vector<std::int64_t>& all) {
  std::vector<bool> seen(all.size());
  for (const auto x : all) {
    if (x < 0 || x >= std::int64_t(all.size()) || seen[std::size_t(x)]) return false;
    seen[std::size_t(x)] = true;
  }
  return true;
}

TEST(KeyedPermutation, IsABijectionForEverySize) {
  for (std::int64_t n = 1; n <= 1100; ++n)
    ASSERT_TRUE(is_bijection(images(KeyedPermutation(n, 7, std::uint32_t(n), 0)))) << n;
  EXPECT_TRUE(is_bijection(images(KeyedPermutation(1000003, 7, 0, 0))));
}

TEST(KeyedPermutation, StaysWithinHugeRanges) {
  constexpr std::int64_t kSize = (std::int64_t(1) << 62) + 12345;
  const KeyedPermutation permutation(kSize, 1, 2, 3);
  for (std::int64_t i = 0; i < 1000; ++i) {
    const auto x = permutation(kSize - 1 - i);
    EXPECT_TRUE(x >= 0 && x < kSize);
  }
}

TEST(KeyedPermutation, DependsOnSeedEpochAndStreamAndNothingElse) {
  const auto base = images(KeyedPermutation(1000, 1, 2, 3));
  EXPECT_EQ(base, images(KeyedPermutation(1000, 1, 2, 3)));
  EXPECT_NE(base, images(KeyedPermutation(1000, 9, 2, 3)));
  EXPECT_NE(base, images(KeyedPermutation(1000, 1, 9, 3)));
  EXPECT_NE(base, images(KeyedPermutation(1000, 1, 2, 9)));
}

// Where each of n elements lands over many keys: chi-square of the n x n table has (n - 1)^2
// degrees of freedom, so mean (n - 1)^2 and variance twice that; five deviations are allowed.
TEST(KeyedPermutation, PutsEveryElementEverywhereEquallyOften) {
  for (const std::size_t n : {2u, 3u, 5u, 8u, 13u, 37u}) {
    const std::size_t keys = 400 * n;
    std::vector<double> table(n * n);
    for (std::size_t key = 0; key < keys; ++key) {
      const KeyedPermutation permutation(std::int64_t(n), 11, std::uint32_t(key), 0);
      for (std::size_t i = 0; i < n; ++i)
        ++table[i * n + std::size_t(permutation(std::int64_t(i)))];
    }
    double chi_square = 0;
    for (const double count : table) chi_square += (count - 400) * (count - 400) / 400;
    const double freedom = double((n - 1) * (n - 1));
    EXPECT_LT(chi_square, freedom + 5 * std::sqrt(2 * freedom) + 5) << n;
  }
}

TEST(KeyedPermutation, NeighboursAreTornApart) {
  const auto all = images(KeyedPermutation(10000, 3, 0, 0));
  int near = 0;
  for (std::size_t i = 1; i < all.size(); ++i) near += std::abs(all[i] - all[i - 1]) < 100;
  EXPECT_NEAR(near, 200, 70);  // 2 % of the pairs by chance
}

}  // namespace
}  // namespace autarky
