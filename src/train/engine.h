// The training step of a model on this rank: program, memory, parameters, optimizer. Every rank of
// the mesh makes the same calls in the same order.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "comm/comm.h"
#include "data/dataset.h"
#include "models/engine_options.h"
#include "models/parameters.h"
#include "runtime/session.h"
#include "train/state_part.h"

namespace autarky {

// What makes a bad step, beside what is not finite. 0: no limit.
struct StepLimits {
  double norm = 0;  // of the gradient
  double loss = 0;
};

struct StepResult {
  double loss = 0;           // mean over the step's targets, natural logarithm
  double grad_norm = 0;      // before clipping; NaN: not finite, or 2^31 and more
  bool skipped = false;      // a bad step: it changed nothing
  std::int64_t targets = 0;  // over all ranks
  double seconds = 0;
};

// The programs of a step by pipeline stage, with memory planned for `backend`: what dry runs and
// predictions look at. Or what is there after an earlier pass.
std::vector<Program> compile_engine(const EngineOptions& options, const Backend& backend,
                                    Pass last = Pass::memory);
// And that of an evaluation beside it, which borrows its weights.
Program compile_evaluation(const EngineOptions& options, const Backend& backend, int stage);

class TrainingEngine {
 public:
  TrainingEngine(const EngineOptions& options, const Backend& backend, Comm& comm);

  // Values that depend on the seed and on a parameter's name and place only.
  void initialize(std::uint64_t seed);

  // This rank's part of a parameter: f32 master, moments, and the copy that products read (may be
  // the master).
  struct Parameter {
    const ParameterSpec* spec;
    std::int64_t layer;  // 0 for embed and head
    Type type;           // of the whole master, with its layout
    std::span<float> master, m, v;
    Tensor copy;
    Type copy_type;  // whole, with its layout

    std::span<float> values(StatePart part) const {
      return part == StatePart::weight ? master : part == StatePart::m ? m : v;
    }
  };
  // Those of this rank's stage, in the order of parameters(config), layers inner.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Null: another stage has it.
  const Parameter* find(const ParameterSpec& spec, std::int64_t layer) const;
  const Parameter& parameter(const ParameterSpec& spec, std::int64_t layer) const;
  // Whether this rank's stage has any of it.
  bool holds(StatePart part, const ParameterSpec& spec, std::int64_t layer) const;
  // Takes this rank's part, if it has one, of the whole values of a parameter.
  void put(StatePart part, const ParameterSpec& spec, std::int64_t layer,
           std::span<const float> whole);
  // No master or moment of this rank is infinite or NaN.
  bool finite() const;
  // `batches`: one of batch * seq tokens for each micro-batch of this data-parallel rank. `update`
  // counts AdamW's, from 1. A
  // bad step, whose loss or gradient norm is not finite or above its limit, is skipped: masters,
  // moments and copies stay bit for bit.
  StepResult step(std::span<const Batch> batches, double lr, std::int64_t update,
                  const StepLimits& limits = {});
  // Sum of the losses of one batch of each data-parallel rank, by its index, without touching the
  // training state.
  std::vector<double> evaluate(const Batch& batch);

  // The sum of a number that every data-parallel rank has.
  std::int64_t over_data_ranks(std::int64_t mine) const;

  Session& session() { return *session_; }
  const EngineOptions& options() const { return options_; }
  Comm& comm() const { return comm_; }
  int index(Axis axis) const { return at_[static_cast<std::size_t>(axis)]; }
  // Everything planned: the step's arena and the evaluation's.
  std::int64_t planned_bytes() const { return planned_bytes_; }

 private:
  void fill(Session& session, const Batch& batch, int microbatch, double weight);
  void fill_constants();
  void find_parameters();
  template <class Value>
  void put_copy(const Parameter& parameter, Value&& value);
  template <class Value>
  void put_values(const Parameter& parameter, StatePart part, Value&& value);
  void add_parameter(const ParameterSpec& spec, std::int64_t layer);
  bool is_first_but(Axis axis) const;
  double local_loss() const;

  EngineOptions options_;
  Comm& comm_;
  Coordinates at_;
  std::vector<ParameterSpec> specs_;
  std::unique_ptr<Session> session_, evaluation_;
  std::vector<Parameter> parameters_;
  std::optional<Parameter> tied_copy_;          // without a master
  std::map<std::string, std::size_t> by_name_;  // full names of parameters_
  std::int64_t planned_bytes_ = 0;
};

}  // namespace autarky
