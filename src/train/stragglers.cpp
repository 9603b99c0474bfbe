#include "train/stragglers.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/median.h"
#include "base/words.h"

namespace autarky {

std::optional<Straggler> StragglerWatch::add(std::vector<double> own_s) {
  steps_.push_back(std::move(own_s));
  if (steps_.size() < kSteps) return std::nullopt;
  if (steps_.size() > kSteps) steps_.pop_front();
  std::vector<double> medians;
  for (std::size_t r = 0; r < steps_[0].size(); ++r) {
    std::vector<double> of_rank;
    for (const auto& step : steps_) of_rank.push_back(step[r]);
    medians.push_back(median(std::move(of_rank)));
  }
  const auto slowest = std::max_element(medians.begin(), medians.end());
  Straggler found{int(slowest - medians.begin()), *slowest, 0};
  medians.erase(slowest);
  found.others_s = median(std::move(medians));
  const int now = found.own_s > kFactor * found.others_s ? found.rank : -1;
  if (now == known_) return std::nullopt;
  known_ = now;
  return now < 0 ? std::nullopt : std::optional(found);
}

std::string describe(const Straggler& s, const std::string& host) {
  return fmt::format(
      "rank {} on {} is slow: {} of its own in a step, where the others take {} (medians of {} "
      "steps); all wait for it",
      s.rank, host, human_seconds(s.own_s), human_seconds(s.others_s), StragglerWatch::kSteps);
}

}  // namespace autarky
