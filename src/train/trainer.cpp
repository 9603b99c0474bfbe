#include "train/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/words.h"
#include "comm/local/local_comm.h"
#include "formats/model_files.h"
#include "train/lr_schedule.h"
#include "train/run_lock.h"
#include "train/trace.h"

namespace autarky {
namespace {

std::vector<WeightedPrefix> prefixes(const std::vector<DataSource>& sources) {
  std::vector<WeightedPrefix> list;
  for (const auto& s : sources) list.push_back({s.prefix, s.weight});
  return list;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Of one step, from those of all.
std::vector<NodeTime> mean_of(std::vector<NodeTime> all, double steps) {
  for (auto& op : all) {
    op.seconds /= steps;
    op.cost.flops /= steps;
    op.cost.bytes /= steps;
  }
  return all;
}

std::int64_t keep_last(const CheckpointSection& s) {
  return s.keep_last > 0 ? s.keep_last : std::numeric_limits<std::int64_t>::max();
}

std::span<float> values_of(const TrainingEngine::Parameter& p, StatePart part) {
  return part == StatePart::weight ? p.master : part == StatePart::m ? p.m : p.v;
}

}  // namespace

// What lives as long as Trainer::run.
struct Trainer::Run {
  std::optional<RunLock> lock;
  std::unique_ptr<Comm> comm = single_rank();
  std::optional<TrainingEngine> engine;
  std::optional<TrainingSet> data;
  std::optional<ValidationSet> validation;
  std::optional<MetricsWriter> metrics;
  std::optional<CheckpointWriter> writer;
  std::optional<Snapshot> snapshot;
  std::vector<Batch> batches;
  TrainState state;
  TrainSummary summary;
  std::int64_t saved_step = -1, evaluated_step = -1;
  std::int64_t memory_bytes = 0;
  std::vector<double> seconds;  // of this session's steps
  Timeline timeline;            // of the last step
};

Trainer::~Trainer() = default;

// Everything that decides the numbers of a step; the number of steps, and what is logged, may
// change.
std::string Trainer::recipe_hash() const {
  Recipe r = recipe_;
  r.data = {};  // the data's state is kept with it
  r.logging = {};
  r.checkpoint = {};
  r.train.steps = 1;
  r.train.eval_every = r.train.eval_samples = 0;
  r.schedule = {};
  return hex64(xxh3(to_yaml(r)));
}

void Trainer::start(Run& run, bool resume, const TrainHooks& hooks) {
  const fs::path folder = recipe_.logging.run_dir;
  const SampleOptions samples{recipe_.train.seq_length, plan_.model.vocab,
                              std::uint64_t(recipe_.train.seed)};
  const auto train = prefixes(recipe_.data.train), validation = prefixes(recipe_.data.validation);
  if (train.empty())
    throw InputError("a run needs training data")
        .at("data.train")
        .hint("Build it: autarky data build --help");
  run.data.emplace(train, samples);
  for (const auto& phase : recipe_.data.phases) run.data->open(prefixes(phase.train));
  if (!validation.empty()) run.validation.emplace(validation, samples);
  if (!plan_.fits())
    throw InputError("the run does not fit in memory")
        .found(fmt::format("{} planned", human_bytes(double(plan_.memory_bytes))))
        .wanted(fmt::format("at most {}", human_bytes(double(plan_.memory_limit_bytes))))
        .hint("Lower train.micro_batch_size or train.seq_length, or set recompute: full");
  run.lock.emplace(folder);
  const bool used = fs::exists(checkpoints() / "latest");
  if (used && !resume)
    throw InputError("the run folder already holds checkpoints")
        .at(folder.string())
        .hint("Continue with --resume, or choose another --logging.run_dir");
  run.writer.emplace(
      CheckpointOptions{checkpoints(), keep_last(recipe_.checkpoint), recipe_.tokenizer},
      plan_.model);
  run.engine.emplace(engine_options(), backend_, *run.comm);
  if (plan_.snapshot) run.snapshot.emplace(plan_.model);
  run.state.seed = std::uint64_t(recipe_.train.seed);
  run.state.lanes = recipe_.parallel.lanes;
  run.state.recipe_hash = recipe_hash();
  if (used) restore(run, hooks);
  else if (recipe_.model.init_from.empty()) run.engine->initialize(run.state.seed);
  else
    load_model_weights(
        recipe_.model.init_from, plan_.model,
        [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
          std::copy(values.begin(), values.end(),
                    run.engine->parameter(spec, layer).master.begin());
        });
  run.engine->refresh_copies();
  run.engine->session().set_profiling(true);
  if (recipe_.logging.trace) run.engine->session().record(&run.timeline);
  run.metrics.emplace(folder / "metrics.jsonl",
                      used ? std::optional(run.state.step) : std::nullopt);
  const Metrics before = read_metrics(folder / "metrics.jsonl");
  if (!before.training.empty()) run.summary.loss = before.training.back().loss;
  if (!before.evaluations.empty()) run.summary.val_loss = before.evaluations.back().val_loss;
  write_file_atomic(folder / "recipe.yaml", to_yaml(recipe_));
  run.batches.resize(std::size_t(recipe_.microbatches()));
}

void Trainer::restore(Run& run, const TrainHooks& hooks) {
  const auto found = find_checkpoint(checkpoints());
  for (const auto& s : found.skipped)
    hooks.note(fmt::format("damaged checkpoint passed over: {}", s.reason));
  if (!found.path)
    throw InputError("no whole checkpoint to resume from").at(checkpoints().string());
  const TrainState state = read_train_state(*found.path);
  if (state.recipe_hash != recipe_hash())
    throw InputError("the recipe is not the one the run was started with")
        .at(found.path->string())
        .hint(
            "Only data, steps, schedule, evaluation, checkpoints and logging may change; the run's "
            "own "
            "recipe is recipe.yaml "
            "in its folder");
  run.state = load_checkpoint(*found.path, plan_.model,
                              [&](StatePart part, const ParameterSpec& spec, std::int64_t layer,
                                  std::span<const float> values) {
                                const auto to = values_of(run.engine->parameter(spec, layer), part);
                                std::copy(values.begin(), values.end(), to.begin());
                              });
  restore_data(run);
  run.saved_step = run.state.step;
  hooks.note(fmt::format("resumed after step {} from {}", run.state.step, found.path->string()));
}

void Trainer::restore_data(Run& run) {
  const auto& d = recipe_.data;
  if (run.state.data.samples() != run.state.samples)
    throw InputError("the checkpoint's counts of data do not add up")
        .at(checkpoints().string())
        .found(fmt::format("{} samples of the sources", run.state.data.samples()))
        .wanted(fmt::format("{}", run.state.samples));
  const SampleOptions samples{recipe_.train.seq_length, plan_.model.vocab,
                              std::uint64_t(recipe_.train.seed)};
  run.data.emplace(prefixes(d.train_at(run.state.step + 1)), samples, run.state.data);
  run.data->open(prefixes(d.train));
  for (const auto& phase : d.phases) run.data->open(prefixes(phase.train));
}

void Trainer::save(Run& run) {
  if (run.saved_step == run.state.step) return;
  run.state.data = run.data->state(run.state.samples);
  const StateSource live = [&engine = *run.engine](StatePart part, const ParameterSpec& spec,
                                                   std::int64_t layer, std::span<float> values) {
    const auto from = values_of(engine.parameter(spec, layer), part);
    std::copy(from.begin(), from.end(), values.begin());
  };
  run.writer->wait();
  if (run.snapshot) {
    run.snapshot->fill(live);
    run.writer->start(run.snapshot->source(), run.state);
  } else {
    run.writer->start(live, run.state);
    run.writer->wait();
  }
  run.saved_step = run.state.step;
}

double Trainer::evaluate(Run& run) {
  const auto batch = recipe_.train.micro_batch_size;
  auto count = run.validation->sample_count();
  if (recipe_.train.eval_samples > 0) count = std::min(count, recipe_.train.eval_samples);
  double sum = 0;
  std::int64_t targets = 0;
  Batch rows;
  for (std::int64_t i = 0; i < count; i += batch) {
    run.validation->read(i, batch, rows);
    targets += rows.target_count;
    sum += run.engine->evaluate(rows);
  }
  run.evaluated_step = run.state.step;
  return sum / double(std::max<std::int64_t>(targets, 1));
}

void Trainer::one_step(Run& run, const TrainHooks& hooks) {
  const auto batch = recipe_.train.micro_batch_size;
  if (run.data->change(run.state.samples, prefixes(recipe_.data.train_at(run.state.step + 1))))
    hooks.note(fmt::format("another blend of data from step {} on", run.state.step + 1));
  for (auto& b : run.batches) {
    run.data->read(run.state.samples, batch, b);
    run.state.samples += batch;
  }
  const auto step = ++run.state.step;
  const double lr =
      learning_rate(recipe_.schedule, recipe_.optimizer.lr, recipe_.train.steps, step);
  const StepResult result = run.engine->step(run.batches, lr, step);
  run.state.tokens += recipe_.tokens_per_step();
  if (!std::isfinite(result.grad_norm))
    hooks.note(
        fmt::format("step {}: loss or gradient is not finite; the step changed nothing", step));
  run.seconds.push_back(result.seconds);
  run.memory_bytes = std::max(run.memory_bytes, resident_bytes());
  const double tokens_per_s = double(recipe_.tokens_per_step()) / result.seconds;
  const double mfu = plan_.peak_flops_per_s > 0
                         ? plan_.flops_per_step / result.seconds / plan_.peak_flops_per_s
                         : 0;
  run.summary.loss = result.loss;
  run.metrics->write(TrainingLine{step, run.state.tokens, result.loss, result.grad_norm, lr,
                                  tokens_per_s, mfu, result.seconds, run.memory_bytes,
                                  plan_.step_s});
  Progress progress{step, recipe_.train.steps, result.loss, run.summary.val_loss,
                    lr,   tokens_per_s,        mfu,         -1};
  progress.seconds_left = median(run.seconds) * double(recipe_.train.steps - step);
  hooks.progress(progress);
}

void Trainer::write_reports(Run& run) {
  const fs::path folder = recipe_.logging.run_dir;
  if (!run.seconds.empty()) {
    const Program program = compile_engine(engine_options(), backend_);
    const Simulation predicted = simulate({&program, 1}, chip_, recipe_.logging.trace);
    const auto parts = [&](std::span<const NodeTime> ops, double step_s) {
      return waterfall(ops, step_s, plan_.flops_per_step, chip_, recipe_.train.dtype);
    };
    predicted_step_ = parts(predicted.ops, predicted.step_s);
    const double steps = double(run.seconds.size());
    measured_step_ =
        parts(mean_of(run.engine->session().profile(), steps),
              std::accumulate(run.seconds.begin(), run.seconds.end(), 0.0) / steps);
    if (recipe_.logging.trace) write_trace(folder / "trace.json", run.timeline, predicted.timeline);
  }
  write_report(folder, report());
}

TrainSummary Trainer::run(bool resume, const TrainHooks& hooks) {
  Run run;
  start(run, resume, hooks);
  const auto steps = recipe_.train.steps;
  run.summary.already_done = run.state.step >= steps;
  while (run.state.step < steps && !hooks.stop()) {
    one_step(run, hooks);
    const auto every = recipe_.train.eval_every;
    if (run.validation && (run.state.step == steps || (every > 0 && run.state.step % every == 0))) {
      run.summary.val_loss = evaluate(run);
      run.metrics->write(EvaluationLine{run.state.step, *run.summary.val_loss});
    }
    if (recipe_.checkpoint.every > 0 && run.state.step % recipe_.checkpoint.every == 0) save(run);
  }
  run.summary.interrupted = run.state.step < steps;
  save(run);
  run.writer->wait();
  run.summary.steps = run.state.step;
  const double seconds = median(run.seconds);
  run.summary.tokens_per_s = seconds > 0 ? double(recipe_.tokens_per_step()) / seconds : 0;
  run.summary.mfu = plan_.peak_flops_per_s > 0 && seconds > 0
                        ? plan_.flops_per_step / seconds / plan_.peak_flops_per_s
                        : 0;
  write_reports(run);
  return run.summary;
}

}  // namespace autarky
