// A model's training step, timed: what `autarky bench train` prints.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sim/chip.h"
#include "train/engine.h"

namespace autarky {

struct BenchResult {
  double step_s = 0;  // median
  double tokens_per_s = 0;
  double model_flops_per_s = 0;
  double peak_flops_per_s = 0;  // multiply-adds in registers, best seen before and after the steps
  double mfu = 0;
  std::int64_t memory_bytes = 0;
  double predicted_step_s = 0;
  std::int64_t predicted_memory_bytes = 0;
  ChipModel chip;                   // this machine as measured just before
  std::vector<NodeTime> predicted;  // of one step
  std::vector<NodeTime> profile;    // of the timed steps, if asked for
};

// One step to warm up, then `steps` that are timed, on random tokens. Every rank of the options'
// mesh calls it; speeds and peaks are of all ranks, memory that of the rank with most.
BenchResult bench_training(const EngineOptions& options, int steps, const Backend& backend,
                           Comm& comm, bool profile,
                           const std::function<void(int done, double seconds)>& progress);

}  // namespace autarky
