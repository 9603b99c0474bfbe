// What lives as long as Trainer::run; for the trainer's own files.
#pragma once
#include "train/run_lock.h"
#include "train/trainer.h"
#include "train/watch.h"

namespace autarky {

std::vector<WeightedPrefix> prefixes(const std::vector<DataSource>& sources);

struct Trainer::Run {
  int dp = 0;                   // this rank's index along that axis
  std::optional<RunLock> lock;  // rank 0's
  CheckpointShare share;
  std::optional<TrainingEngine> engine;
  std::optional<StepWatch> watch;
  std::optional<TrainingSet> data;
  std::optional<ValidationSet> validation;
  std::optional<MetricsWriter> metrics;
  std::optional<CheckpointWriter> writer, memory;  // to the run's folder; to hooks.memory
  std::optional<Snapshot> snapshot;
  std::vector<Batch> batches;       // of the step at hand
  std::vector<Batch> good_batches;  // of this session's last good step, if there was one
  TrainState state;
  std::string last_bad;  // what was wrong with the last bad step
  TrainSummary summary;
  std::int64_t saved_step = -1, evaluated_step = -1;
  std::int64_t memory_bytes = 0;
  std::vector<double> seconds;  // of this session's steps
  StepTimes times;              // of the step at hand
  StragglerWatch stragglers;
  std::vector<std::string> hosts;  // by rank
  Timeline timeline;               // of the last step
};

}  // namespace autarky
