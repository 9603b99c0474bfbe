#include "train/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "backend/cpu/cpu_info.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/median.h"
#include "base/process.h"
#include "base/words.h"
#include "comm/agree.h"
#include "formats/model_files.h"
#include "train/gathered_state.h"
#include "train/lr_schedule.h"
#include "train/replicas.h"
#include "train/run_lock.h"
#include "train/trace.h"
#include "train/trainer_run.h"

namespace autarky {

std::vector<WeightedPrefix> prefixes(const std::vector<DataSource>& sources) {
  std::vector<WeightedPrefix> list;
  for (const auto& s : sources) list.push_back({s.prefix, s.weight});
  return list;
}

namespace {

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

}  // namespace

Trainer::~Trainer() = default;

// Everything that decides the numbers of a step; the number of steps, and what is logged, may
// change.
std::string Trainer::recipe_hash() const {
  Recipe r = recipe_;
  r.data = {};  // the data's state is kept with it
  r.logging = {};
  r.checkpoint = {};
  r.parallel = {};  // any layout goes on from any other
  r.recompute = Recompute::none;
  r.train.steps = 1;
  r.train.eval_every = r.train.eval_samples = 0;
  r.train.spike_factor = r.train.spike_window = r.train.max_bad_steps = 1;
  r.schedule = {};
  return hex64(xxh3(to_yaml(r)));
}

void Trainer::check_ranks() const {
  const int wanted = plan_.mesh.ranks();
  if (comm_.size() == wanted) return;
  throw InputError("the recipe's parallel sizes need another number of ranks")
      .at("parallel")
      .found(fmt::format("{} rank{}", comm_.size(), comm_.size() == 1 ? "" : "s"))
      .wanted(fmt::format("{} ({})", wanted, plan_.mesh.to_string()))
      .hint(fmt::format("Start it with: autarky launch -n {} -- train ...", wanted));
}

// Ranks with other recipes or data would wait for each other for ever, or compute something else.
void Trainer::check_alike(const TrainingSet& data) {
  const auto compare = [&](const std::string& what, std::int64_t mine, const auto& text) {
    const auto all = gather_all(comm_, mine);
    for (std::size_t r = 0; r < all.size(); ++r)
      if (all[r] != all[0])
        throw InputError(fmt::format("the ranks differ in {}", what))
            .found(fmt::format("{} on rank {}", text(all[r]), r))
            .wanted(fmt::format("{} as on rank 0", text(all[0])))
            .hint("All ranks need the same files, options and program");
  };
  const auto hex = [](std::int64_t v) { return hex64(std::uint64_t(v)); };
  const auto count = [](std::int64_t v) { return fmt::format("{} tokens", v); };
  compare("their recipe", std::int64_t(xxh3(to_yaml(recipe_))), hex);
  compare("their training data", data.token_count(), count);
  compare("their kernels (instruction sets)", std::int64_t(xxh3(cpu::isa_name())), hex);
}

void Trainer::open_data(Run& run) {
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
}

std::chrono::seconds Trainer::patience() const {
  return std::chrono::seconds(recipe_.parallel.deadline);
}

void Trainer::open_folder(Run& run, bool used) {
  const fs::path folder = recipe_.logging.run_dir;
  if (first()) run.lock.emplace(folder);
  if (used && !resume_)
    throw InputError("the run folder already holds checkpoints")
        .at(folder.string())
        .hint("Continue with --resume, or choose another --logging.run_dir");
  run.share = share_of(engine_options(), comm_.rank());
  run.writer.emplace(
      CheckpointOptions{checkpoints(), keep_last(recipe_.checkpoint), recipe_.tokenizer,
                        recipe_.checkpoint.every, run.share, patience()},
      plan_.model);
  if (plan_.snapshot) run.snapshot.emplace(plan_.model, run.share);
}

void Trainer::start(Run& run, const TrainHooks& hooks) {
  const fs::path folder = recipe_.logging.run_dir;
  check_ranks();
  open_data(run);
  check_alike(*run.data);
  run.hosts = gather_all(comm_, host_name());
  if (!plan_.fits())
    throw InputError("the run does not fit in memory")
        .found(fmt::format("{} planned", human_bytes(double(plan_.memory_bytes))))
        .wanted(fmt::format("at most {}", human_bytes(double(plan_.memory_limit_bytes))))
        .hint("Lower train.micro_batch_size or train.seq_length, or set recompute: full");
  const auto has_state = [](const fs::path& f) { return !f.empty() && fs::exists(f / "latest"); };
  const bool used = from_first(comm_, has_state(checkpoints()) || has_state(hooks.memory)) != 0;
  open_folder(run, used);
  open_memory(run, hooks);
  run.engine.emplace(engine_options(), backend_, comm_);
  run.state.seed = std::uint64_t(recipe_.train.seed);
  run.state.lanes = recipe_.parallel.lanes;
  run.state.recipe_hash = recipe_hash();
  if (used) restore(run, hooks);
  else if (recipe_.model.init_from.empty()) run.engine->initialize(run.state.seed);
  else
    load_model_weights(
        recipe_.model.init_from, plan_.model,
        [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
          run.engine->put(StatePart::weight, spec, layer, values);
        });
  if (first()) forget_values_from(recipe_.logging.run_dir, run.state.step + 1);
  barrier(comm_);
  run.watch.emplace(recipe_.logging, run.engine->session(), plan_.mesh, comm_.rank(),
                    run.state.step + 1);
  run.engine->session().set_profiling(true);
  if (recipe_.logging.trace) run.engine->session().record(&run.timeline);
  if (!first()) return;
  run.metrics.emplace(folder / "metrics.jsonl",
                      used ? std::optional(run.state.step) : std::nullopt);
  const Metrics before = read_metrics(folder / "metrics.jsonl");
  for (const auto& line : before.training)
    if (!line.skipped) run.summary.loss = line.loss;
  if (!before.evaluations.empty()) run.summary.val_loss = before.evaluations.back().val_loss;
  write_file_atomic(folder / "recipe.yaml", to_yaml(recipe_));
}

double Trainer::evaluate(Run& run) {
  const auto batch = recipe_.train.micro_batch_size;
  auto count = run.validation->sample_count();
  if (recipe_.train.eval_samples > 0) count = std::min(count, recipe_.train.eval_samples);
  double sum = 0;
  std::int64_t targets = 0;
  Batch rows;
  // Data-parallel ranks take a batch each, in turn; the sum is in the order of the batches.
  const auto ranks = recipe_.parallel.data_parallel_size, mine = std::int64_t(run.dp);
  for (std::int64_t i = 0; i < count; i += batch * ranks) {
    const auto at = i + mine * batch;
    run.validation->read(at < count ? at : run.validation->sample_count(), batch, rows);
    for (const double losses : run.engine->evaluate(rows)) sum += losses;
    targets += rows.target_count;
  }
  if (ranks > 1) targets = run.engine->over_data_ranks(targets);
  run.evaluated_step = run.state.step;
  return sum / double(std::max<std::int64_t>(targets, 1));
}

void Trainer::one_step(Run& run, const TrainHooks& hooks) {
  const auto began = std::chrono::steady_clock::now();
  const double waited = comm_.waited_s();
  const auto batch = recipe_.train.micro_batch_size;
  StepHistory& history = run.state.history;
  if (run.data->change(run.state.samples, prefixes(recipe_.data.train_at(run.state.step + 1)))) {
    hooks.note(fmt::format("another blend of data from step {} on", run.state.step + 1));
    history.norms.clear();  // other data, other losses and norms
    history.losses.clear();
  }
  run.batches.resize(std::size_t(recipe_.microbatches()));
  const auto first_sample =
      run.state.samples + std::int64_t(run.dp) * recipe_.microbatches() * batch;
  for (std::size_t m = 0; m < run.batches.size(); ++m)
    run.data->read(first_sample + std::int64_t(m) * batch, batch, run.batches[m]);
  run.state.samples += recipe_.train.global_batch_size;
  const auto step = ++run.state.step;
  const double lr =
      learning_rate(recipe_.schedule, recipe_.optimizer.lr, recipe_.train.steps, step);
  const StepLimits limits = step_limits(history, recipe_.train);
  run.watch->before(step);
  const StepResult result = run.engine->step(run.batches, lr, history.updates + 1, limits);
  run.watch->after(step);
  run.state.tokens += recipe_.tokens_per_step();
  if (const auto every = recipe_.parallel.check_every; every > 0 && step % every == 0)
    check_replicas(*run.engine);
  run.times.waited_s = comm_.waited_s() - waited;
  run.times.own_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() -
      run.times.waited_s;
  add_step(history, recipe_.train, result);
  const bool enough = history.bad >= recipe_.train.max_bad_steps;
  const auto back = enough ? way_back(run) : std::nullopt;
  report_step(run, result, lr, back, hooks);
  if (!result.skipped) return run.batches.swap(run.good_batches);
  run.last_bad = describe_bad_step(result, limits, recipe_.train);
  hooks.note(fmt::format("step {} skipped: {}", step, run.last_bad));
  if (enough) go_back(run, back, hooks);
}

void Trainer::report_step(Run& run, const StepResult& result, double lr,
                          const std::optional<fs::path>& back, const TrainHooks& hooks) {
  run.seconds.push_back(result.seconds);
  run.memory_bytes = std::max(run.memory_bytes, resident_bytes());
  const double tokens_per_s = double(recipe_.tokens_per_step()) / result.seconds;
  const double mfu = plan_.mfu(result.seconds);
  const auto step = run.state.step;
  TrainingLine line{step, run.state.tokens, result.loss,      result.grad_norm, lr, tokens_per_s,
                    mfu,  result.seconds,   run.memory_bytes, plan_.step_s};
  if (!result.skipped) run.summary.loss = result.loss;
  if (comm_.size() > 1 && step % recipe_.logging.log_every == 0) compare_ranks(run, line, hooks);
  if (!first()) return;
  if (result.skipped) line.skipped = run.state.history.skipped;
  if (back) line.returned_to = checkpoint_step(back->filename().string());
  run.metrics->write(line);
  Progress progress{step, recipe_.train.steps, result.loss, run.summary.val_loss,
                    lr,   tokens_per_s,        mfu,         -1};
  progress.seconds_left = median(run.seconds) * double(recipe_.train.steps - step);
  hooks.progress(progress);
}

void Trainer::compare_ranks(Run& run, TrainingLine& line, const TrainHooks& hooks) {
  const auto micros = [](double s) { return std::round(s * 1e6) / 1e6; };
  line.rank_own_s = gather_all(comm_, micros(run.times.own_s));
  line.rank_waited_s = gather_all(comm_, micros(run.times.waited_s));
  if (const auto found = run.stragglers.add(line.rank_own_s))
    hooks.note(describe(*found, run.hosts[std::size_t(found->rank)]));
}

void Trainer::write_reports(Run& run) {
  if (!first()) return;
  const fs::path folder = recipe_.logging.run_dir;
  if (!run.seconds.empty()) {
    const Simulation predicted =
        simulate(compile_engine(engine_options(), backend_), {chip_}, recipe_.logging.trace);
    const auto parts = [&](std::span<const NodeTime> ops, double step_s) {
      return waterfall(ops, step_s, plan_.flops_per_step, chip_, recipe_.train.dtype);
    };
    predicted_step_ = parts(predicted.ops, predicted.step_s);
    const double steps = double(run.seconds.size());
    measured_step_ = parts(mean_of(run.engine->session().profile(), steps),
                           std::accumulate(run.seconds.begin(), run.seconds.end(), 0.0) / steps);
    if (recipe_.logging.trace)
      write_trace(folder / "trace.json",
                  std::array{NamedTimeline{"measured", run.timeline},
                             NamedTimeline{"predicted", predicted.timeline}});
  }
  write_report(folder, report());
}

TrainSummary Trainer::run(const TrainHooks& hooks) {
  Run run;
  run.dp = plan_.mesh.coordinates(comm_.rank())[std::size_t(Axis::dp)];
  start(run, hooks);
  const auto steps = recipe_.train.steps;
  run.summary.already_done = run.state.step >= steps;
  while (run.state.step < steps) {
    const auto asked = Ask(greatest(comm_, std::int64_t(hooks.asked())));
    if (asked == Ask::save_and_end) break;
    if (asked == Ask::save) save_if_sound(run, hooks);
    one_step(run, hooks);
    hooks.finished(run.state.step);
    const auto every = recipe_.train.eval_every;
    if (run.validation && (run.state.step == steps || (every > 0 && run.state.step % every == 0))) {
      run.summary.val_loss = evaluate(run);
      if (first()) run.metrics->write(EvaluationLine{run.state.step, *run.summary.val_loss});
    }
    save_if_due(run, hooks);
    keep_in_memory_if_due(run);
  }
  run.summary.interrupted = run.state.step < steps;
  save_at_the_end(run, hooks);
  wait_for(*run.writer);
  run.summary.steps = run.state.step;
  run.summary.skipped = run.state.history.skipped;
  const double seconds = median(run.seconds);
  run.summary.tokens_per_s = seconds > 0 ? double(recipe_.tokens_per_step()) / seconds : 0;
  run.summary.mfu = plan_.mfu(seconds);
  write_reports(run);
  return run.summary;
}

}  // namespace autarky
