// The training step of a model on this rank: program, memory, parameters, optimizer.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "comm/comm.h"
#include "data/dataset.h"
#include "models/config.h"
#include "models/parameters.h"
#include "passes/compile.h"
#include "runtime/session.h"

namespace autarky {

struct EngineOptions {
  ModelConfig model;
  DType dtype = DType::bf16;  // of products and activations
  std::int64_t batch = 1;     // sequences of a micro-batch
  std::int64_t seq = 1;       // tokens of a sequence
  int microbatches = 1;       // of a step
  int lanes = 1;              // power of two that divides microbatches
  Recompute recompute = Recompute::selective;
  OptimizerOptions optimizer;
};

// What makes a bad step, beside what is not finite. 0: no limit.
struct StepLimits {
  double norm = 0;  // of the gradient
  double loss = 0;
};

struct StepResult {
  double loss = 0;       // mean over the step's targets, natural logarithm
  double grad_norm = 0;  // before clipping; NaN: not finite, or 2^31 and more
  bool skipped = false;  // a bad step: it changed nothing
  std::int64_t targets = 0;
  double seconds = 0;
};

// The program of a step, with memory planned for `backend`: what dry runs and predictions look at.
// Or what is there after an earlier pass.
Program compile_engine(const EngineOptions& options, const Backend& backend,
                       Pass last = Pass::memory);
// And that of an evaluation beside it, which borrows its weights.
Program compile_evaluation(const EngineOptions& options, const Backend& backend);

class TrainingEngine {
 public:
  TrainingEngine(const EngineOptions& options, const Backend& backend, Comm& comm);

  // Values that depend on the seed and on a parameter's name and place only.
  void initialize(std::uint64_t seed);

  // A parameter on this rank: f32 master, moments, and the copy that products read (may be the
  // master).
  struct Parameter {
    const ParameterSpec* spec;
    std::int64_t layer;  // 0 for embed and head
    std::span<float> master, m, v;
    Tensor copy;
  };
  // In the order of parameters(config), layers inner.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const Parameter& parameter(const ParameterSpec& spec, std::int64_t layer) const;
  // No master or moment is infinite or NaN.
  bool finite() const;
  // After masters were written: makes the products' copies.
  void refresh_copies();

  // `batches`: one of batch * seq tokens for each micro-batch. `update` counts AdamW's, from 1. A
  // bad step, whose loss or gradient norm is not finite or above its limit, is skipped: masters,
  // moments and copies stay bit for bit.
  StepResult step(std::span<const Batch> batches, double lr, std::int64_t update,
                  const StepLimits& limits = {});
  // Sum of the losses of one batch, without touching the training state.
  double evaluate(const Batch& batch);

  Session& session() { return *session_; }
  const EngineOptions& options() const { return options_; }
  // Everything planned: the step's arena and the evaluation's.
  std::int64_t planned_bytes() const { return planned_bytes_; }

 private:
  void fill(Session& session, const Batch& batch, int microbatch, double weight);
  void fill_constants();
  void find_parameters();

  EngineOptions options_;
  std::vector<ParameterSpec> specs_;
  std::unique_ptr<Session> session_, evaluation_;
  std::vector<Parameter> parameters_;
  std::map<std::string, std::size_t> by_name_;  // full names of parameters_
  std::int64_t planned_bytes_ = 0;
};

}  // namespace autarky
