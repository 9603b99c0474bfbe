#include "plan/stage_sizes.h"

#include <limits>

namespace autarky {

std::optional<std::vector<int>> divide_layers(int layers, int least,
                                              std::span<const StageLoad> stages) {
  std::vector<int> counts(stages.size(), least);
  for (const auto& stage : stages)
    if (stage.most_layers < least) return std::nullopt;
  // Where the work of a stage grows with each layer, giving every layer to the stage that has the
  // least with it leaves the least there is.
  for (int left = layers - least * int(stages.size()); left > 0; --left) {
    std::size_t best = stages.size();
    double least_s = std::numeric_limits<double>::infinity();
    for (std::size_t s = 0; s < stages.size(); ++s) {
      if (counts[s] >= stages[s].most_layers) continue;
      const double seconds = stages[s].ends_s + (counts[s] + 1) * stages[s].layer_s;
      if (seconds < least_s) best = s, least_s = seconds;
    }
    if (best == stages.size()) return std::nullopt;
    ++counts[best];
  }
  return counts;
}

std::vector<int> layers_of_chunks(const std::vector<int>& stage_layers, int chunks) {
  std::vector<int> parts;
  for (int c = 0; c < chunks; ++c)
    for (const int layers : stage_layers)
      parts.push_back(layers / chunks + (c < layers % chunks ? 1 : 0));
  return parts;
}

}  // namespace autarky
