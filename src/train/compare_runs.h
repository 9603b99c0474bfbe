// Two runs side by side: recipes, losses, and the first value in which they part.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/recipe.h"
#include "values/compare.h"

namespace autarky {

struct KeyDifference {
  std::string key;   // "parallel.data_parallel_size"
  std::string a, b;  // as in YAML
  bool operator==(const KeyDifference&) const = default;
};
// Keys of other values, in a recipe's order, without where the run's folder is.
std::vector<KeyDifference> differences(const Recipe& a, const Recipe& b);

struct LossDifference {
  std::int64_t step = 0;
  double loss_a = 0, loss_b = 0, norm_a = 0, norm_b = 0;
};

struct RunDifference {
  std::vector<KeyDifference> recipe;
  std::int64_t metric_steps = 0;             // that both runs have lines of
  std::optional<LossDifference> first_loss;  // with another loss or gradient norm
  bool traced_a = false, traced_b = false;   // kept values
  std::int64_t value_steps = 0;              // compared, with the one below
  std::int64_t values = 0;                   // compared
  std::int64_t step = 0;                     // the first with differences or contradictions
  std::vector<ValueDifference> differences;  // of that step
  std::vector<std::string> contradictions_a, contradictions_b;  // within a run, of that step

  bool same() const {
    return differences.empty() && contradictions_a.empty() && contradictions_b.empty() &&
           !first_loss;
  }
};

// The folders of two runs: losses, and values where both kept some. `tolerance`: how far,
// relative to its size, a value or a loss may be from the other's. InputError where there is no
// run, or nothing that both have.
RunDifference compare_runs(const fs::path& a, const fs::path& b, double tolerance);

}  // namespace autarky
