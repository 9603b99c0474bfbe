// A training run: a recipe in, a folder with metrics and checkpoints out.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "comm/timed.h"
#include "data/dataset.h"
#include "sim/simulate.h"
#include "train/checkpoint.h"
#include "train/engine.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/recipe.h"
#include "train/report.h"
#include "train/same_bits.h"
#include "train/stragglers.h"

namespace autarky {

// What a run will take, known before anything runs; memory is that of one rank.
struct RunPlan {
  ModelConfig model;
  Mesh mesh;
  std::int64_t parameters = 0;
  std::vector<MemoryKind> memory;       // by kind
  std::int64_t memory_bytes = 0;        // the sum
  std::int64_t memory_limit_bytes = 0;  // of the machine or cgroup
  double step_s = 0;                    // predicted
  double flops_per_step = 0;            // model FLOPs
  double peak_flops_per_s = 0;          // measured, of one rank
  bool snapshot = false;  // checkpoints are copied aside and written in the background
  SameBits same_bits;
  std::optional<Schedule> schedule;  // of a pipeline's stages, if there are several

  // Of a step of that length, over all ranks.
  double mfu(double seconds) const {
    const double peak = peak_flops_per_s * mesh.ranks();
    return peak > 0 && seconds > 0 ? flops_per_step / seconds / peak : 0;
  }
  bool fits() const { return memory_bytes <= memory_limit_bytes; }
};

// What a run may be asked between steps; of what ranks are asked, the last of these counts.
enum class Ask { nothing, save, save_and_end };

struct TrainHooks {
  std::function<void(const Progress&)> progress = [](const Progress&) {};
  std::function<void(const std::string&)> note = [](const std::string&) {};
  std::function<Ask()> asked = [] { return Ask::nothing; };
  std::function<void(std::int64_t step)> finished = [](std::int64_t) {};  // on every rank
  fs::path memory;  // folder in memory that outlives a killed rank; empty: there is none
};

struct TrainSummary {
  std::int64_t steps = 0;    // done, all in all
  std::int64_t skipped = 0;  // of these
  double loss = 0;           // of the last good step
  std::optional<double> val_loss;
  double tokens_per_s = 0, mfu = 0;  // medians of this session's steps
  bool interrupted = false, already_done = false;
};

class Trainer {
 public:
  // Checks the recipe against this machine and the files it names. InputError otherwise. Every rank
  // of `comm` makes one of the same recipe; a plan alone needs one rank, whatever the mesh.
  // `resume`: go on with the run in the recipe's folder; with its lanes, if the recipe has no
  // others than its data_parallel_size and that divides them.
  Trainer(Recipe recipe, const Backend& backend, Comm& comm, bool resume = false);
  ~Trainer();

  const RunPlan& plan() const { return plan_; }
  // The step's program after that pass, as text.
  std::string dump(Pass last) const;
  // InputError where the run does not fit, its folder holds another run, the recipe has changed in
  // what must not change, or there are not the ranks that it asks for. Error when bad steps leave
  // nothing to go on with. Rank 0 alone writes metrics and reports.
  TrainSummary run(const TrainHooks& hooks);
  // What the report shows, samples left out; where the steps' time went after run() only.
  ReportInfo report() const;

 private:
  struct Run;
  bool first() const { return comm_.rank() == 0; }
  void check_ranks() const;
  std::int64_t lanes_of_run() const;
  EngineOptions engine_options() const;
  void make_plan();
  std::string recipe_hash() const;
  fs::path checkpoints() const { return fs::path(recipe_.logging.run_dir) / "checkpoints"; }
  void start(Run& run, const TrainHooks& hooks);
  void check_alike(const TrainingSet& data);
  void open_data(Run& run);
  // Of ranks with each other, also with what they write.
  std::chrono::seconds patience() const;
  void open_folder(Run& run, bool used);
  void open_memory(Run& run, const TrainHooks& hooks);
  void restore(Run& run, const TrainHooks& hooks);
  void restore_data(Run& run);
  void write_reports(Run& run);  // report.html, and trace.json if asked for
  void one_step(Run& run, const TrainHooks& hooks);
  void report_step(Run& run, const StepResult& result, double lr,
                   const std::optional<fs::path>& back, const TrainHooks& hooks);
  void compare_ranks(Run& run, TrainingLine& line, const TrainHooks& hooks);
  double evaluate(Run& run);
  void load(Run& run, const fs::path& checkpoint);
  bool sound(Run& run);
  void save(Run& run);
  void keep_in_memory_if_due(Run& run);
  void write_state(Run& run, CheckpointWriter& writer);
  void wait_for(CheckpointWriter& writer);
  void save_if_due(Run& run, const TrainHooks& hooks);
  void save_if_sound(Run& run, const TrainHooks& hooks);
  void save_at_the_end(Run& run, const TrainHooks& hooks);
  std::optional<fs::path> shared_checkpoint(const fs::path& folder,
                                            const std::function<bool(std::int64_t)>& wanted,
                                            const TrainHooks* hooks = nullptr);
  std::optional<fs::path> newest_state(const TrainHooks& hooks);
  std::optional<fs::path> way_back(Run& run);
  void go_back(Run& run, const std::optional<fs::path>& checkpoint, const TrainHooks& hooks);
  [[noreturn]] void give_up(Run& run, const std::string& why);  // Error, after the report

  Recipe recipe_;
  const Backend& backend_;
  TimedComm comm_;
  bool resume_;
  ChipModel chip_;
  RunPlan plan_;
  std::vector<WaterfallPart> predicted_step_, measured_step_;  // once steps were run
};

}  // namespace autarky
