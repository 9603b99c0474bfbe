// What a run will take: the part of the trainer that runs nothing.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/words.h"
#include "comm/agree.h"
#include "formats/model_files.h"
#include "models/flops.h"
#include "models/parameters.h"
#include "models/presets.h"
#include "passes/schedule_chart.h"
#include "text/tokenizer.h"
#include "train/calibrate.h"
#include "train/gathered_state.h"
#include "train/links.h"
#include "train/machine_sheet.h"
#include "train/plan_run.h"
#include "train/trainer.h"

namespace autarky {

Recipe recipe_of_run(const fs::path& run) {
  const fs::path path = run / "recipe.yaml";
  if (!fs::exists(path))
    throw InputError("there is no run in this folder").at(run.string()).wanted(path.string());
  return load_recipe(path);
}

ModelConfig model_of(const ModelSection& section) {
  if (!section.preset.empty()) return preset_config(section.preset);
  if (section.config.empty()) return read_model_config(section.init_from);
  return parse_config(read_json(section.config), section.config);
}

Mesh mesh_of(const ParallelSection& p, const ModelConfig& model) {
  return training_mesh(model, int(p.data_parallel_size), int(p.tensor_parallel_size),
                       int(p.pipeline_parallel_size));
}

EngineOptions engine_options(const Recipe& recipe, const ModelConfig& model) {
  EngineOptions o;
  o.model = model;
  o.dtype = recipe.train.dtype;
  o.batch = recipe.train.micro_batch_size;
  o.seq = recipe.train.seq_length;
  o.microbatches = int(recipe.microbatches());
  o.lanes = int(recipe.parallel.lanes / recipe.parallel.data_parallel_size);
  o.mesh = mesh_of(recipe.parallel, model);
  o.zero_stage = int(recipe.parallel.zero_stage);
  o.schedule = recipe.parallel.pipeline_schedule;
  o.chunks = int(recipe.parallel.virtual_pipeline_size);
  o.stage_layers.assign(recipe.parallel.stage_layers.begin(), recipe.parallel.stage_layers.end());
  o.sequence_parallel = recipe.parallel.sequence_parallel;
  o.recompute = recipe.recompute;
  const auto& s = recipe.optimizer;
  o.optimizer = {s.beta1, s.beta2, s.eps, s.weight_decay, s.clip_norm};
  return o;
}

namespace {

void check_parallel(const ParallelSection& p) {
  const auto refuse = [](const char* key, std::int64_t value, const char* wanted) {
    throw InputError("this layout does not run yet")
        .at(fmt::format("parallel.{}", key))
        .found(fmt::format("{}", value))
        .wanted(wanted);
  };
  if (p.context_parallel_size > 1) refuse("context_parallel_size", p.context_parallel_size, "1");
  if (p.expert_parallel_size > 1) refuse("expert_parallel_size", p.expert_parallel_size, "1");
  if (p.virtual_pipeline_size > 1 && p.pipeline_schedule != PipelineSchedule::interleaved)
    refuse("virtual_pipeline_size", p.virtual_pipeline_size,
           "1, or pipeline_schedule: interleaved");
}

// Rank 0 measures while the others wait, if there is no sheet; whether a kept one is of a busy
// machine cannot be told while they all start.
ChipModel chip_of(const Backend& backend, DType dtype, Comm& comm) {
  if (comm.rank() > 0) barrier(comm);
  ChipModel chip = local_chip(backend, dtype, comm.size() == 1 ? Sheet::checked : Sheet::kept);
  if (comm.rank() == 0) barrier(comm);
  measure_links(comm, chip);
  return chip;
}

int largest_of(std::span<const Program> stages) {
  const auto largest = std::max_element(
      stages.begin(), stages.end(),
      [](const auto& a, const auto& b) { return a.arena_bytes() < b.arena_bytes(); });
  return int(largest - stages.begin());
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

Trainer::Trainer(Recipe recipe, const Backend& backend, Comm& comm, bool resume)
    : recipe_(std::move(recipe)), backend_(backend), comm_(comm), resume_(resume) {
  check_parallel(recipe_.parallel);
  plan_.model = model_of(recipe_.model);
  plan_.mesh = mesh_of(recipe_.parallel, plan_.model);
  if (comm.size() > 1) check_ranks();  // before ranks wait for each other: all find the same
  if (resume) recipe_.parallel.lanes = from_first(comm, lanes_of_run());
  check_lengths(recipe_, plan_.model);
  chip_ = chip_of(backend, recipe_.train.dtype, comm);
  make_plan();
}

EngineOptions Trainer::engine_options() const {
  return autarky::engine_options(recipe_, plan_.model);
}

void Trainer::make_plan() {
  const EngineOptions options = engine_options();
  const auto programs = compile_engine(options, backend_);
  // Without the other ranks the plan is that of the stage that needs most.
  const bool whole = comm_.size() == options.mesh.ranks();
  const int stage =
      whole ? options.mesh.coordinates(comm_.rank())[std::size_t(Axis::pp)] : largest_of(programs);
  const Program& program = programs[std::size_t(stage)];
  plan_.parameters = parameter_count(plan_.model);
  for (const auto& [kind, bytes] : program.bytes_by_kind())
    if (bytes > 0) plan_.memory.push_back({std::string(kind), bytes});
  plan_.memory.push_back(
      {"evaluation", compile_evaluation(options, backend_, stage).arena_bytes()});
  plan_.memory.push_back({"program and libraries", resident_bytes()});
  plan_.memory_limit_bytes = memory_limit_bytes();
  const auto total = [&] {
    std::int64_t sum = 0;
    for (const auto& k : plan_.memory) sum += k.bytes;
    return sum;
  };
  const auto snapshot = snapshot_bytes(plan_.model, share_of(options, whole ? comm_.rank() : 0));
  const auto& c = recipe_.checkpoint;
  if (c.memory_every > 0) plan_.memory.push_back({"checkpoints in memory", 2 * snapshot});
  plan_.snapshot = every_rank(
      comm_, (c.every > 0 || c.memory_every > 0) && total() + snapshot <= plan_.memory_limit_bytes);
  if (plan_.snapshot) plan_.memory.push_back({"checkpoint snapshot", snapshot});
  plan_.memory_bytes = total();
  plan_.step_s = simulate(programs, {chip_}).step_s;
  plan_.flops_per_step = model_flops_per_token(plan_.model, recipe_.train.seq_length) *
                         double(recipe_.tokens_per_step());
  const auto peak = chip_.flops_per_s.find(recipe_.train.dtype);
  plan_.peak_flops_per_s = peak == chip_.flops_per_s.end() ? 0 : peak->second;
  plan_.same_bits = same_bits(options, program);
  if (const int stages = options.mesh.size(Axis::pp); stages > 1)
    plan_.schedule = make_schedule(options.schedule, stages, options.chunks, options.microbatches);
}

std::string Trainer::dump(Pass last) const {
  std::string text;
  for (const auto& program : compile_engine(engine_options(), backend_, last))
    text += print(program);
  return text;
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
  if (plan_.schedule) info.schedule = draw_schedule(*plan_.schedule);
  return info;
}

}  // namespace autarky
