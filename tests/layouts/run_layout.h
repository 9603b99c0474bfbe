// Runs training steps of a tiny model on a local mesh and gives losses and whole gradients.
#pragma once
#include <map>
#include <optional>
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
  int chunks = 1;             // with schedule interleaved
  std::vector<int> stage_layers = {};
  int steps = 1;                            // on the same data; more want `update`
  std::optional<ShardingRules> rules = {};  // none: the default table
  int zero_stage = 0;
};

struct LayoutResult {
  double loss = 0;             // of the last step
  std::vector<double> losses;  // of every step
  // Of the last step: whole, by "<scope>.<parameter>".
  std::map<std::string, std::vector<double>> gradients;
};

// Weights and data depend on names and global indices only, so every layout sees the same.
LayoutResult run_layout(const ModelConfig& config, const LayoutRun& run);

// A small model of a family for these tests.
ModelConfig tiny_config(Family family, int layers = 4);
// Large enough for ZeRO over two ranks to cut its matrices.
ModelConfig wide_config(Family family, int layers);
// With heads, features and a vocabulary that no number of ranks divides.
ModelConfig odd_config(Family family, int layers);

// In words, for messages: "pp2 tp2 zero-bubble none s:tp ...".
std::string describe(const LayoutRun& run);

// The run that `run` must equal bit for bit: the same tp, rules and lanes, one rank of all else but
// dp where ZeRO 2 and 3 have sums of their own.
LayoutRun without_pipeline(const LayoutRun& run);

// "layer.0.mlp.up_proj.weight", or nothing.
std::string first_difference(const LayoutResult& a, const LayoutResult& b);
// Differences are measured by each tensor's largest gradient. A gradient that is zero in exact
// arithmetic (a key bias without rope: softmax does not see it) is noise, and is measured by a
// millionth of the largest of all.
void expect_same(const LayoutResult& a, const LayoutResult& b, double tolerance);

}  // namespace autarky
