// A run's state to and from its checkpoints: saving, resuming, going back after bad steps.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <exception>

#include "base/error.h"
#include "base/words.h"
#include "comm/agree.h"
#include "train/gathered_state.h"
#include "train/trainer_run.h"

namespace autarky {

// A run goes on with its own lanes where it can, since they are part of its numbers.
std::int64_t Trainer::lanes_of_run() const {
  const auto& p = recipe_.parallel;
  const auto state = newest_train_state(checkpoints());
  if (p.lanes != p.data_parallel_size || !state) return p.lanes;
  const auto lanes = state->lanes;
  const auto microbatches = recipe_.train.global_batch_size / recipe_.train.micro_batch_size;
  const bool fits = lanes > 0 && lanes % p.data_parallel_size == 0 && microbatches % lanes == 0;
  return fits ? lanes : p.lanes;
}

// The newest whole checkpoint that is wanted, as rank 0 finds it; it reads the files.
std::optional<fs::path> Trainer::shared_checkpoint(const fs::path& folder,
                                                   const std::function<bool(std::int64_t)>& wanted,
                                                   const TrainHooks* hooks) {
  std::int64_t step = -1;
  if (first()) {
    const auto found = find_checkpoint(folder, wanted);
    for (const auto& s : found.skipped)
      if (hooks) hooks->note(fmt::format("damaged checkpoint passed over: {}", s.reason));
    if (found.path) step = checkpoint_step(found.path->filename().string()).value();
  }
  step = from_first(comm_, step);
  if (step < 0) return std::nullopt;
  return folder / checkpoint_name(step);
}

// What is kept in memory, unless the run's folder has something newer: that alone is read then.
std::optional<fs::path> Trainer::newest_state(const TrainHooks& hooks) {
  const auto kept =
      hooks.memory.empty() ? std::nullopt : shared_checkpoint(hooks.memory, {}, &hooks);
  const auto newer = [&](std::int64_t step) {
    return !kept || step > checkpoint_step(kept->filename().string());
  };
  const auto saved = shared_checkpoint(checkpoints(), newer, &hooks);
  return saved ? saved : kept;
}

void Trainer::restore(Run& run, const TrainHooks& hooks) {
  const auto path = newest_state(hooks);
  if (!path) throw InputError("no whole checkpoint to resume from").at(checkpoints().string());
  const TrainState state = read_train_state(*path);
  if (state.recipe_hash != recipe_hash())
    throw InputError("the recipe is not the one the run was started with")
        .at(path->string())
        .hint(
            "Only data, steps, schedule, evaluation, what makes a bad step, parallel, recompute, "
            "checkpoints and logging may change; the run's own recipe is recipe.yaml in its "
            "folder");
  if (state.lanes != recipe_.parallel.lanes)
    hooks.note(fmt::format(
        "gradients were summed in {} lanes and are now summed in {}: the bits from here on are not "
        "those that the run would have had (parallel.lanes)",
        state.lanes, recipe_.parallel.lanes));
  load(run, *path);
  run.state.lanes = recipe_.parallel.lanes;
  restore_data(run);
  if (path->parent_path() == checkpoints()) run.saved_step = run.state.step;
  hooks.note(fmt::format("resumed after step {} from {}", run.state.step, path->string()));
}

void Trainer::load(Run& run, const fs::path& checkpoint) {
  run.state = load_checkpoint(
      checkpoint, plan_.model,
      [&](StatePart part, const ParameterSpec& spec, std::int64_t layer,
          std::span<const float> values) { run.engine->put(part, spec, layer, values); },
      [&](StatePart part, const ParameterSpec& spec, std::int64_t layer) {
        return run.engine->holds(part, spec, layer);
      });
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

// States in memory, for a launcher that starts again what was killed.
void Trainer::open_memory(Run& run, const TrainHooks& hooks) {
  if (recipe_.checkpoint.memory_every == 0) return;
  std::string missing;
  if (hooks.memory.empty()) missing = "it needs autarky launch";
  else if (comm_.ranks_on_node() < comm_.size()) missing = "the ranks are on several machines";
  else if (first()) {
    const double wanted = 24 * double(plan_.parameters);  // the old one goes after the new one
    std::error_code none;
    const double room = double(fs::space(hooks.memory.parent_path(), none).available);
    if (room < wanted)
      missing = fmt::format("it needs {}, {} are free", human_bytes(wanted), human_bytes(room));
  }
  if (every_rank(comm_, missing.empty()))
    run.memory.emplace(CheckpointOptions{hooks.memory, 1, {}, 0, run.share, patience()},
                       plan_.model);
  else
    hooks.note(fmt::format("no states are kept in memory (checkpoint.memory_every): {}", missing));
}

void Trainer::keep_in_memory_if_due(Run& run) {
  const auto step = run.state.step;
  if (run.memory && step % recipe_.checkpoint.memory_every == 0 && run.saved_step != step)
    write_state(run, *run.memory);
}

void Trainer::save(Run& run) {
  if (run.saved_step == run.state.step) return;
  write_state(run, *run.writer);
  run.saved_step = run.state.step;
}

// An error of one rank's writer becomes that of all: whoever ends first says why.
void Trainer::wait_for(CheckpointWriter& writer) {
  std::exception_ptr mine;
  std::string why;
  try {
    writer.wait();
  } catch (const Error& e) {
    mine = std::current_exception();
    if (!writer.given_up_by_another()) why = e.what();
  }
  const auto all = gather_all(comm_, why);
  if (mine && !why.empty()) std::rethrow_exception(mine);
  for (std::size_t r = 0; r < all.size(); ++r)
    if (!all[r].empty()) throw Error(fmt::format("rank {}: {}", r, all[r]));
  if (mine) std::rethrow_exception(mine);
}

void Trainer::write_state(Run& run, CheckpointWriter& writer) {
  run.state.data = run.data->state(run.state.samples);
  GatheredState gathered(*run.engine, run.share);
  const StateSource live = [&](StatePart part, const ParameterSpec& spec, std::int64_t layer,
                               std::span<float> values) {
    gathered.get(part, spec, layer, values);
  };
  wait_for(*run.writer);  // both writers read the snapshot
  if (run.memory) wait_for(*run.memory);
  writer.open(run.state.step);
  barrier(comm_);
  gathered.begin();
  if (run.snapshot) {
    run.snapshot->fill(live);
    writer.start(run.snapshot->source(), run.state);
  } else {
    writer.start(live, run.state);
    wait_for(writer);
  }
}

// Whether the weights are worth a checkpoint: nobody has seen yet what the last update made of
// them. They are finite, and a batch that was good before it still is.
bool Trainer::sound(Run& run) {
  if (!every_rank(comm_, run.engine->finite())) return false;
  if (run.good_batches.empty()) return run.state.history.bad == 0;
  const Batch& batch = run.good_batches.front();
  // The first data-parallel rank's batch decides.
  const auto targets = std::max<std::int64_t>(from_first(comm_, batch.target_count), 1);
  const double loss = run.engine->evaluate(batch).front() / double(targets);
  const double limit = step_limits(run.state.history, recipe_.train).loss;
  return std::isfinite(loss) && (limit == 0 || loss <= limit);
}

void Trainer::save_if_due(Run& run, const TrainHooks& hooks) {
  const auto every = recipe_.checkpoint.every;
  if (every > 0 && run.state.step % every == 0 && run.state.history.bad == 0)
    save_if_sound(run, hooks);
}

void Trainer::save_if_sound(Run& run, const TrainHooks& hooks) {
  if (sound(run)) return save(run);
  hooks.note(
      fmt::format("the weights after step {} are not good and are not saved", run.state.step));
}

void Trainer::save_at_the_end(Run& run, const TrainHooks& hooks) {
  if (run.saved_step == run.state.step) return;
  if (sound(run)) return save(run);
  const std::string what =
      fmt::format("the weights after step {} are not good and were not saved", run.state.step);
  if (run.summary.interrupted) return hooks.note(what);
  give_up(run, what);
}

void Trainer::give_up(Run& run, const std::string& why) {
  write_reports(run);
  throw Error(why)
      .at(checkpoints().string())
      .found(run.last_bad)
      .hint(
          "Look at the data of these steps, start again with a lower optimizer.lr, or raise "
          "train.spike_factor");
}

// Where the run goes back to after too many bad steps in a row: the newest of the checkpoints that
// the recipe plans, so that a run that was stopped and saved in between goes the same way.
std::optional<fs::path> Trainer::way_back(Run& run) {
  wait_for(*run.writer);
  const StepHistory& history = run.state.history;
  const auto first_bad = run.state.step - history.bad + 1, every = recipe_.checkpoint.every;
  const auto may = [&](std::int64_t step) { return may_return_to(history, first_bad, step); };
  const auto planned = [&](std::int64_t step) {
    return every > 0 && step % every == 0 && may(step);
  };
  const auto found = shared_checkpoint(checkpoints(), planned);
  return found ? found : shared_checkpoint(checkpoints(), may);
}

// Weights, moments and what belongs to them become the checkpoint's. The data, and with it the
// count of steps, goes on after the bad steps: what lies between is not drawn again.
void Trainer::go_back(Run& run, const std::optional<fs::path>& checkpoint,
                      const TrainHooks& hooks) {
  const TrainState now = run.state;
  const auto& history = now.history;
  const std::string what =
      fmt::format("{} bad steps in a row, up to step {}", history.bad, now.step);
  if (!checkpoint)
    give_up(run, what + (history.returned_at == 0
                             ? ", and there is no good checkpoint to go back to"
                             : fmt::format(", and the run has gone back after step {} already, "
                                           "with no good checkpoint since",
                                           history.returned_at)));
  load(run, *checkpoint);
  hooks.note(fmt::format("{}: back to the weights of step {}; the data goes on with step {}", what,
                         run.state.step, now.step + 1));
  StepHistory restored = std::move(run.state.history);
  restored.bad = 0;
  restored.skipped = history.skipped;
  restored.returned_at = now.step;
  run.state = now;
  run.state.history = std::move(restored);
  run.good_batches.clear();
}

}  // namespace autarky
