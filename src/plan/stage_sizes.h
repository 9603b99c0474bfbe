// How many layers each stage of a pipeline gets where stages run on different chips.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace autarky {

struct StageLoad {
  double layer_s = 0;            // of a layer and a micro-batch, forward and backward
  double ends_s = 0;             // of the embedding and the head
  std::int64_t most_layers = 0;  // that its memory holds
};

// Layers by stage, at least `least` each: the slowest stage is as quick as it can be. None where
// the stages cannot hold them all.
std::optional<std::vector<int>> divide_layers(int layers, int least,
                                              std::span<const StageLoad> stages);

// By part (Schedule::part_of): those of a stage over its `chunks`, evenly.
std::vector<int> layers_of_chunks(const std::vector<int>& stage_layers, int chunks);

}  // namespace autarky
