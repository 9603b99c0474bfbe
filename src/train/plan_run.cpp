// What a run will take: the part of the trainer that runs nothing.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/words.h"
#include "formats/model_files.h"
#include "models/flops.h"
#include "models/parameters.h"
#include "models/presets.h"
#include "text/tokenizer.h"
#include "train/calibrate.h"
#include "train/machine_sheet.h"
#include "train/trainer.h"

namespace autarky {
namespace {

ModelConfig model_of(const ModelSection& section) {
  if (!section.preset.empty()) return preset_config(section.preset);
  if (section.config.empty()) return read_model_config(section.init_from);
  return parse_config(read_json(section.config), section.config);
}

void check_parallel(const ParallelSection& p) {
  const bool one = p.data_parallel_size == 1 && p.tensor_parallel_size == 1 &&
                   p.pipeline_parallel_size == 1 && p.context_parallel_size == 1 &&
                   p.expert_parallel_size == 1;
  if (!one)
    throw InputError(
        "autarky train runs on one rank so far; the compiled layouts run in the tests only")
        .at("parallel")
        .hint("Set every parallel size to 1");
}

void check_lengths(const Recipe& r, const ModelConfig& model) {
  if (r.train.seq_length > model.max_positions)
    throw InputError("sequences are longer than the model's positions")
        .at("train.seq_length")
        .found(std::to_string(r.train.seq_length))
        .wanted(fmt::format("at most {}", model.max_positions));
  if (r.tokenizer.empty()) return;
  const auto vocab = Tokenizer::load(r.tokenizer).vocab_size();
  if (vocab > model.vocab)
    throw InputError("the tokenizer has more tokens than the model")
        .at(r.tokenizer)
        .found(std::to_string(vocab))
        .wanted(fmt::format("at most {}", model.vocab))
        .hint("Train a smaller tokenizer or choose another model");
}

}  // namespace

Trainer::Trainer(Recipe recipe, const Backend& backend)
    : recipe_(std::move(recipe)), backend_(backend) {
  check_parallel(recipe_.parallel);
  plan_.model = model_of(recipe_.model);
  check_lengths(recipe_, plan_.model);
  chip_ = local_chip(backend, recipe_.train.dtype);
  make_plan();
}

EngineOptions Trainer::engine_options() const {
  EngineOptions o;
  o.model = plan_.model;
  o.dtype = recipe_.train.dtype;
  o.batch = recipe_.train.micro_batch_size;
  o.seq = recipe_.train.seq_length;
  o.microbatches = int(recipe_.microbatches());
  o.lanes = int(recipe_.parallel.lanes);
  o.recompute = recipe_.recompute;
  const auto& s = recipe_.optimizer;
  o.optimizer = {s.beta1, s.beta2, s.eps, s.weight_decay, s.clip_norm};
  return o;
}

void Trainer::make_plan() {
  const Program program = compile_engine(engine_options(), backend_);
  plan_.parameters = parameter_count(plan_.model);
  for (const auto& [kind, bytes] : program.bytes_by_kind())
    if (bytes > 0) plan_.memory.push_back({std::string(kind), bytes});
  plan_.memory.push_back(
      {"evaluation", compile_evaluation(engine_options(), backend_).arena_bytes()});
  plan_.memory.push_back({"program and libraries", resident_bytes()});
  plan_.memory_limit_bytes = memory_limit_bytes();
  const auto total = [&] {
    std::int64_t sum = 0;
    for (const auto& k : plan_.memory) sum += k.bytes;
    return sum;
  };
  const auto snapshot = snapshot_bytes(plan_.model);
  plan_.snapshot = recipe_.checkpoint.every > 0 && total() + snapshot <= plan_.memory_limit_bytes;
  if (plan_.snapshot) plan_.memory.push_back({"checkpoint snapshot", snapshot});
  plan_.memory_bytes = total();
  plan_.step_s = simulate({&program, 1}, chip_).step_s;
  plan_.flops_per_step = model_flops_per_token(plan_.model, recipe_.train.seq_length) *
                         double(recipe_.tokens_per_step());
  const auto peak = chip_.flops_per_s.find(recipe_.train.dtype);
  plan_.peak_flops_per_s = peak == chip_.flops_per_s.end() ? 0 : peak->second;
  const auto lanes = recipe_.parallel.lanes;
  plan_.order = fmt::format(
      "gradients are summed in {} lane{}; data_parallel_size {} keeps the bits (each halving of "
      "ranks costs one more "
      "gradient buffer), and so does every pipeline schedule and stage count",
      lanes, lanes == 1 ? "" : "s",
      lanes == 1 ? "1" : fmt::format("1 to {} (powers of two)", lanes));
}

std::string Trainer::dump(Pass last) const {
  return print(compile_engine(engine_options(), backend_, last));
}

ReportInfo Trainer::report() const {
  ReportInfo info;
  info.title = fs::path(recipe_.logging.run_dir).filename().string();
  const ModelConfig& m = plan_.model;
  const std::string name = recipe_.model.preset.empty() ? "" : recipe_.model.preset + ": ";
  info.model =
      fmt::format("{}{}, {} layers, width {}", name, family_name(m.family), m.layers, m.hidden);
  info.parameters = plan_.parameters;
  info.steps = recipe_.train.steps;
  info.machine = {{"processor", machine_name()},
                  {"memory", human_bytes(double(plan_.memory_limit_bytes))},
                  {fmt::format("measured {} peak", dtype_name(recipe_.train.dtype)),
                   fmt::format("{:.0f} GFLOP/s", plan_.peak_flops_per_s / 1e9)},
                  {"memory bandwidth", fmt::format("{:.1f} GB/s", chip_.bytes_per_s / 1e9)}};
  info.recipe = to_yaml(recipe_);
  info.memory = plan_.memory;
  info.predicted_step = predicted_step_;
  info.measured_step = measured_step_;
  return info;
}

}  // namespace autarky
