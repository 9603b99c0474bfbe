#include "data/blend.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::int64_t kPeriod = std::int64_t(1) << 30;

void check_weights(std::span<const double> weights) {
  AUTARKY_CHECK(!weights.empty(), "a blend needs a source");
  for (std::size_t j = 0; j < weights.size(); ++j)
    if (!std::isfinite(weights[j]) || weights[j] <= 0)
      throw InputError(fmt::format("weight of source {} of the blend", j + 1))
          .found(fmt::format("{}", weights[j]))
          .wanted("a finite number above 0");
}

// Whole shares of kPeriod; what rounding leaves over goes to the largest.
std::vector<std::int64_t> whole_shares(std::span<const double> weights) {
  const double largest = *std::max_element(weights.begin(), weights.end());
  double sum = 0;
  for (const double w : weights) sum += w / largest;
  std::vector<std::int64_t> shares;
  for (const double w : weights)
    shares.push_back(std::max<std::int64_t>(1, std::llround(w / largest / sum * kPeriod)));
  const auto total = std::accumulate(shares.begin(), shares.end(), std::int64_t(0));
  *std::max_element(shares.begin(), shares.end()) += kPeriod - total;
  return shares;
}

}  // namespace

Blend::Blend(std::span<const double> weights) {
  check_weights(weights);
  shares_ = whole_shares(weights);
  restart(0);
}

void Blend::restart(std::int64_t period) {
  next_ = period * kPeriod;
  lags_.assign(shares_.size(), 0);
  given_.clear();
  for (const auto share : shares_) given_.push_back(period * share);
}

Blend::Choice Blend::at(std::int64_t i) {
  if (shares_.size() == 1) return {0, i};
  if (i < next_ - 1 || i / kPeriod > next_ / kPeriod) restart(i / kPeriod);
  while (next_ <= i) {
    const auto source = step();
    last_ = {source, given_[std::size_t(source)]++};
  }
  return last_;
}

std::vector<std::int64_t> Blend::given(std::int64_t n) {
  if (shares_.size() == 1) return {n};
  if (n == 0) return std::vector<std::int64_t>(shares_.size());
  at(n - 1);
  return given_;
}

// Among the sources whose lag allows it, the one that must be chosen soonest to stay within one.
std::int64_t Blend::step() {
  const auto n = std::int64_t(shares_.size());
  const std::int64_t slack = kPeriod / (2 * n - 2);
  std::int64_t best = -1, best_distance = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const auto at = std::size_t(j);
    lags_[at] += shares_[at];
    if (lags_[at] < slack) continue;
    const std::int64_t distance = kPeriod - slack - lags_[at];
    if (best < 0 || distance * shares_[std::size_t(best)] < best_distance * shares_[at])
      best = j, best_distance = distance;
  }
  AUTARKY_CHECK(best >= 0, "some source may always be chosen");
  lags_[std::size_t(best)] -= kPeriod;
  ++next_;
  return best;
}

}  // namespace autarky
