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

// Chips of one kind.
struct ChipGroup {
  Device device;
  int chips = 0;
  std::int64_t memory_bytes = 0;  // of one chip that a layout may take
};
// All of a chip's memory but what no layout may take.
ChipGroup chip_group(Device device, int chips);

struct PlanRequest {
  ModelConfig model;
  DType dtype = DType::bf16;
  std::int64_t seq = 0;
  std::int64_t global_batch = 0;  // sequences of a step
  std::vector<ChipGroup> groups;  // several: every stage of the pipeline is of one of them
  std::size_t keep = 10;          // layouts that are wanted

  int chips() const;
};

// Neighbouring stages on the same kind of chip.
struct StageGroup {
  std::size_t group = 0;  // of PlanRequest::groups
  int stages = 0;
};

struct PlannedLayout {
  EngineOptions options;
  std::vector<StageGroup> stage_groups;  // in the order of the pipeline
  Prediction prediction;
  std::int64_t memory_bytes = 0;        // of the stage that fills most of its chip
  std::int64_t memory_limit_bytes = 0;  // PlanRequest's of that chip
  BytesByKind memory;                   // of that stage, as its program plans it
  std::vector<int> fullest;             // stages that may be the one, by an outline
  bool fits = false;
};

struct SearchResult {
  std::vector<PlannedLayout> best;  // fastest first; if none fits, those that need least memory
  std::int64_t layouts = 0;         // looked at
  std::int64_t too_large = 0, bounded = 0, simulated = 0;
};

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
std::vector<Sensitivity> sensitivities(const PlannedLayout& plan, const PlanRequest& request);

// The request outlives them.
StageDevices devices_of(const PlannedLayout& plan, const PlanRequest& request);

// A layout in words: "tp 8, pp 16 x 3, dp 64, zero 1, sequence parallel, micro-batch 1, ...".
std::string to_string(const PlannedLayout& plan, const PlanRequest& request);

}  // namespace autarky
