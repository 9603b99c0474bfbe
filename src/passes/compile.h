// compile: a model and the options of a run become the program of one training step, or of a
// forward pass alone, for one kind of rank.
#pragma once
#include "ir/model.h"
#include "passes/memory.h"
#include "passes/partition.h"
#include "passes/program.h"
#include "passes/recompute.h"
#include "passes/schedule.h"

namespace autarky {

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  double max_norm = 1;  // of the whole gradient; 0: not clipped
};

struct StepOptions {
  Mesh mesh;
  ShardingRules rules = default_rules(false);
  Recompute recompute = Recompute::selective;
  PipelineSchedule schedule = PipelineSchedule::one_f_one_b;
  int chunks = 1;                 // of layers per stage: the interleaved schedule has more
  std::vector<int> stage_layers;  // of each part, in the model's order; empty: balanced
  double head_layers = 0;         // the head's work, in layers
  int microbatches = 1;           // of one rank and step
  int lanes = 1;        // of one rank: the gradient's sums, see DESIGN "The order of sums"
  int zero_stage = 0;   // 0 to 3, see zero.h
  bool update = true;   // false: stops at the reduced gradients
  bool borrow = false;  // forward only: weights, caches and constants are another session's
  OptimizerOptions optimizer;
  Pass last_pass = Pass::memory;  // of compile_step: to see what an earlier pass makes
  ScratchBytes scratch = [](const Node&, Types, Types) { return std::int64_t(0); };
};

// The layers of each part of the pipeline, [first, second): one part per stage and chunk, numbered
// as in Schedule. InputError where stages, chunks and layers do not fit.
std::vector<std::pair<int, int>> part_layers(int layers, const StepOptions& options);

// Buffers that a host fills or reads: "tokens.<m>", "targets.<m>", "positions.<m>", "segments.<m>",
// "loss_weights.<m>" for micro-batch m; "hyper"; constants by their port's name; parameters
// "<block>.<port>" with block "embed", "layer.<i>" or "head", and with the prefixes "master.",
// "grad.", "m.", "v."; "loss.sum" (digits) and "clip" (factor, norm; ops/adamw.h). With tied
// embeddings the last of several stages has a copy of the table under the table's name, without
// master and moments: it is sent anew after every update.
Program compile_step(const ModelGraphs& model, const StepOptions& options, int stage);
// The programs of all stages, which fit together.
std::vector<Program> compile_stages(const ModelGraphs& model, const StepOptions& options);

// Forward only: for each micro-batch what the head gives, in "<its port>.<m>": "loss.<m>" or
// "logits.<m>".
Program compile_forward(const ModelGraphs& model, const StepOptions& options, int stage);

}  // namespace autarky
