// Runs one training step of a tiny model on a local mesh and gives losses and whole gradients.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/decoder.h"
#include "passes/compile.h"

namespace autarky {

struct LayoutRun {
  Mesh mesh;
  bool sequence_parallel = false;
  Recompute recompute = Recompute::selective;
  PipelineSchedule schedule = PipelineSchedule::one_f_one_b;
  int global_batch = 8;  // sequences of a step; each rank's micro-batches hold one row each
  int lanes = 4;         // of the step
  DType dtype = DType::f64;
  bool update = false;
  bool through_text = false;  // the program is printed and parsed before it runs
};

struct LayoutResult {
  double loss = 0;
  std::map<std::string, std::vector<double>> gradients;  // whole, by "<scope>.<parameter>"
};

// Weights and data depend on names and global indices only, so every layout sees the same.
LayoutResult run_layout(const ModelConfig& config, const LayoutRun& run);

// A small model of a family for these tests.
ModelConfig tiny_config(Family family);

}  // namespace autarky
