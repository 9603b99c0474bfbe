// What is trained and how it lies over the mesh, and the options of the step that this means: the
// one description that runs are made of and plans are simulated from.
#pragma once
#include <vector>

#include "ir/model.h"
#include "models/config.h"
#include "models/parameters.h"
#include "passes/compile.h"

namespace autarky {

struct EngineOptions {
  ModelConfig model;
  DType dtype = DType::bf16;  // of products and activations
  std::int64_t batch = 1;     // sequences of a micro-batch
  std::int64_t seq = 1;       // tokens of a sequence
  int microbatches = 1;       // of one rank and step
  int lanes = 1;              // of one rank: power of two that divides microbatches
  Recompute recompute = Recompute::selective;
  OptimizerOptions optimizer;
  Mesh mesh;
  bool sequence_parallel = false;
  int zero_stage = 0;
  PipelineSchedule schedule = PipelineSchedule::one_f_one_b;
  int chunks = 1;                 // of layers per stage
  std::vector<int> stage_layers;  // of each part of the pipeline; empty: balanced
};

// tp is factored where the model has fewer kv groups (Axis::tpr).
Mesh training_mesh(const ModelConfig& model, int dp, int tp, int pp);

// The pipeline stage that has a parameter.
int stage_of(const EngineOptions& options, ParameterBlock block, std::int64_t layer);

// The single-device graphs of all data-parallel ranks' micro-batch together.
ModelGraphs training_graphs(const EngineOptions& options);
// Without a backend's scratch memory.
StepOptions step_options(const EngineOptions& options);

}  // namespace autarky
