// autarky train: a recipe in, a trained model out.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/log.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/rank.h"
#include "cli/requests.h"
#include "cli/samples.h"
#include "cli/verbs.h"
#include "launch/board.h"
#include "passes/schedule_chart.h"
#include "train/trainer.h"

namespace autarky::cli {
namespace {

struct Options {
  std::string recipe;
  bool resume = false, dry_run = false;
  std::string dump;  // the pass
};

std::optional<Pass> dumped_pass(const Options& o) {
  if (o.dump.empty()) return std::nullopt;
  const auto pass = parse_pass(o.dump);
  if (!pass)
    throw InputError("unknown pass")
        .at("--dump")
        .found(fmt::format("'{}'", o.dump))
        .wanted(fmt::format("one of {}", fmt::join(kPassNames, ", ")));
  return pass;
}

// The whole, or what it amounts to where lines would be too long to read.
std::string chart_of(const Schedule& schedule) {
  constexpr std::size_t kMostColumns = 240;
  const std::string chart = print_schedule(schedule);
  const auto title = chart.find('\n') + 1;
  const bool fits = chart.find('\n', title) - title <= kMostColumns;
  return fits ? chart : chart.substr(0, title) + "(too long for a line; the report draws it)\n";
}

void show_plan(const RunPlan& plan) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& k : plan.memory) rows.emplace_back(k.name, human_bytes(double(k.bytes)));
  rows.emplace_back("memory in all", fmt::format("{} of {}", human_bytes(double(plan.memory_bytes)),
                                                 human_bytes(double(plan.memory_limit_bytes))));
  rows.emplace_back("parameters", human_count(double(plan.parameters)));
  rows.emplace_back("predicted step", human_seconds(plan.step_s));
  for (const auto& row : describe(plan.same_bits)) rows.push_back(row);
  print(table(rows));
  if (plan.schedule) print("\n" + chart_of(*plan.schedule));
}

Json same_bits_json(const SameBits& bits) {
  Json sizes = Json::array();
  for (const auto& s : bits.sizes)
    sizes.push_back(
        {{"data_parallel_size", s.data_parallel}, {"gradient_bytes", s.gradient_bytes}});
  return {{"lanes", bits.lanes}, {"zero_adds_ranks_first", bits.ranks_first}, {"sizes", sizes}};
}

Json plan_json(const RunPlan& plan) {
  Json memory = Json::object();
  for (const auto& k : plan.memory) memory[k.name] = k.bytes;
  return {{"fits", plan.fits()},
          {"parameters", plan.parameters},
          {"predicted_memory_bytes", plan.memory_bytes},
          {"memory_limit_bytes", plan.memory_limit_bytes},
          {"predicted_step_s", plan.step_s},
          {"memory", memory},
          {"same_bits", same_bits_json(plan.same_bits)},
          {"schedule", plan.schedule ? Json(print_schedule(*plan.schedule)) : Json(nullptr)}};
}

void dry_run(const Command& command, const RunPlan& plan) {
  if (command.json()) print_json(plan_json(plan));
  else show_plan(plan);
  if (!plan.fits())
    throw InputError("the run does not fit in memory")
        .found(fmt::format("{} planned", human_bytes(double(plan.memory_bytes))))
        .wanted(fmt::format("at most {}", human_bytes(double(plan.memory_limit_bytes))))
        .hint("Lower train.micro_batch_size or train.seq_length, or set recompute: full");
}

void show_summary(const Command& command, const Recipe& recipe, const TrainSummary& s) {
  if (command.json()) {
    Json result = {{"run_dir", recipe.logging.run_dir}, {"steps", s.steps}, {"loss", s.loss}};
    result["val_loss"] = s.val_loss ? Json(*s.val_loss) : Json(nullptr);
    result["tokens_per_s"] = s.tokens_per_s;
    result["mfu"] = s.mfu;
    return print_json(result);
  }
  if (s.already_done)
    return print(fmt::format("The run is finished: {} steps are done.\n", s.steps));
  print(table(
      {{"run", recipe.logging.run_dir},
       {"steps", fmt::format("{}{}{}", s.steps,
                             s.skipped > 0 ? fmt::format(", {} of them skipped", s.skipped) : "",
                             s.interrupted ? " (interrupted and saved; go on with --resume)" : "")},
       {"loss", fmt::format("{:.4f}", s.loss)},
       {"validation loss", s.val_loss ? fmt::format("{:.4f}", *s.val_loss) : "not measured"},
       {"speed", fmt::format("{:.0f} tokens/s, MFU {:.1f}% of the measured peak", s.tokens_per_s,
                             100 * s.mfu)},
       {"report", (fs::path(recipe.logging.run_dir) / "report.html").string()}}));
}

TrainSummary run_with_progress(Trainer& trainer, const Recipe& recipe, int rank) {
  ProgressLine line;
  const bool terminal = ::isatty(2);
  Heartbeat heartbeat(rank);
  TrainHooks hooks;
  hooks.asked = [&] {
    if (heartbeat.save_asked()) requests::ask_save();
    return requests::stop() ? Ask::save_and_end : requests::take_save() ? Ask::save : Ask::nothing;
  };
  hooks.finished = [&](std::int64_t step) { heartbeat.finished(step); };
  if (!heartbeat.folder().empty()) hooks.memory = heartbeat.folder() / "checkpoints";
  if (rank > 0) return trainer.run(hooks);
  hooks.note = [&](const std::string& text) {
    line.clear();
    log_info(text);
  };
  hooks.progress = [&](const Progress& p) {
    if (terminal || p.step % recipe.logging.log_every == 0 || p.step == p.steps)
      line.show(terminal ? progress_line(p, 100) : progress_line(p));
  };
  return trainer.run(hooks);
}

void train(const Command& command, const Options& o, const Recipe& recipe,
           const std::optional<Pass>& dumped, Comm& comm) {
  const auto backend = make_cpu_backend();
  Trainer trainer(recipe, *backend, comm, o.resume && !dumped && !o.dry_run);
  if (dumped) return print(trainer.dump(*dumped));
  if (o.dry_run) return dry_run(command, trainer.plan());
  requests::training();
  for (const auto& note : trainer.plan().model.notes) log_info(note);
  log_info(fmt::format("{} parameters, {} planned{}, {} a step predicted",
                       human_count(double(trainer.plan().parameters)),
                       human_bytes(double(trainer.plan().memory_bytes)),
                       comm.size() == 1 ? "" : fmt::format(" on each of {} ranks", comm.size()),
                       human_seconds(trainer.plan().step_s)));
  const TrainSummary summary = run_with_progress(trainer, recipe, comm.rank());
  if (comm.rank() > 0) return;
  ReportInfo report = trainer.report();
  if (!summary.interrupted && !recipe.tokenizer.empty())
    report.samples = write_samples(recipe, *backend);
  write_report(recipe.logging.run_dir, report);
  show_summary(command, recipe, summary);
}

}  // namespace

void run_train(Command& command) {
  Options o;
  const auto overrides = command.take_overrides();
  command.add("recipe", o.recipe, "The recipe (YAML); any key can follow as --section.key=value",
              Need::required);
  command.add_flag("--resume", o.resume,
                   "Go on from the newest whole checkpoint of the run's folder");
  command.add_flag("--dry-run", o.dry_run,
                   "Say what memory and time it would take, and do nothing");
  command.add_flag("--dump", o.dump, pass_name(Pass::memory),
                   "Print the program after a pass and do nothing: " +
                       fmt::format("{}", fmt::join(kPassNames, ", ")) + " (the last)");
  if (!command.parse()) return;
  requests::listen();
  const auto pass = dumped_pass(o);
  const Recipe recipe = load_recipe(o.recipe, overrides);
  with_ranks(std::chrono::seconds(recipe.parallel.deadline),
             [&](Comm& comm) { train(command, o, recipe, pass, comm); });
}

}  // namespace autarky::cli
