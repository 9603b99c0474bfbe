// The best layouts of a model on a cluster: every layout is bounded from below, the promising ones
// are simulated.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "plan/predict.h"
#include "plan/stage_memory.h"
#include "sim/calibration.h"

namespace autarky {

struct PlanRequest {
  ModelConfig model;
  DType dtype = DType::bf16;
  std::int64_t seq = 0;
  std::int64_t global_batch = 0;  // sequences of a step
  int chips = 0;
  Device device;
  std::int64_t memory_bytes = 0;  // of one chip that a layout may take
  std::size_t keep = 10;          // layouts that are wanted
};

struct PlannedLayout {
  EngineOptions options;
  Prediction prediction;
  std::int64_t memory_bytes = 0;  // of the stage that needs most
  BytesByKind memory;             // of that stage, as its program plans it
  int fullest_inner_stage = 0;    // by an outline
  bool fits = false;
};

struct SearchResult {
  std::vector<PlannedLayout> best;  // fastest first; if none fits, those that need least memory
  std::int64_t layouts = 0;         // looked at
  std::int64_t too_large = 0, bounded = 0, simulated = 0;
};

// Sets the device, and of its memory what a layout may take.
void put_on(PlanRequest& request, Device device);

// What is left to do, in layouts.
using SearchProgress = std::function<void(std::int64_t done, std::int64_t all)>;

// `prune` off: every layout that fits is simulated (for tests). InputError where no layout is
// possible: the counts do not divide.
SearchResult search_layouts(const PlanRequest& request, const SearchProgress& progress,
                            bool prune = true);

// What a tenth more of something makes of the step: relative, below 0 shorter.
struct Sensitivity {
  std::string of;
  double change = 0;
};
std::vector<Sensitivity> sensitivities(const PlannedLayout& plan, const Device& device);

// A layout in words: "tp 8, pp 16 x 3, dp 64, zero 1, sequence parallel, micro-batch 1, ...".
std::string to_string(const EngineOptions& options);

}  // namespace autarky
