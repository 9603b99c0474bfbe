// What failures leave of a long run: time that moves training forward over time that passes.
#pragma once
#include <cstdint>

#include "models/config.h"

namespace autarky {

// Times in seconds. Failures come at random and independently, at a constant rate. The defaults are
// judgements, but the rate: Llama 3's 419 in 54 days of 16,384 chips are one in 2,100 chip-days.
struct FailureModel {
  std::int64_t chips = 1;
  double chip_days_per_failure = 2000;
  double checkpoint_s = 10;  // that training stands still for one
  double write_s = 0;        // until one is whole on storage, beside training
  double detect_s = 120;     // until the failure is known
  double restart_s = 300;    // until the first step of the job started anew
  std::int64_t chips_per_node = 8;
  std::int64_t spare_nodes = 0;
  double repair_s = 4 * 3600;  // until a node comes back; without a spare the job waits for it

  double failures_per_s() const { return double(chips) / (chip_days_per_failure * 86400); }
};

// What a checkpoint takes: weights and moments in f32, each chip its part, copied to the host while
// the step waits and written beside the steps that follow.
struct CheckpointCost {
  double bytes = 0, stop_s = 0, write_s = 0;
};
CheckpointCost checkpoint_cost(const ModelConfig& model, std::int64_t chips,
                               double storage_bytes_per_s);

struct Goodput {
  double share = 0;                                                 // training that counts / time
  double failures_per_day = 0;                                      // as they came
  double checkpoint_share = 0, repeated_share = 0, down_share = 0;  // where the rest goes
};

// `days` of a run that saves every `interval_s` of training, event by event. The same seed: the
// same failures.
Goodput simulate_goodput(const FailureModel& model, double interval_s, double days,
                         std::uint64_t seed = 1);

// A long run of a whole machine at its best interval.
struct Reliability {
  FailureModel model;
  CheckpointCost checkpoint;
  double interval_s = 0;
  Goodput goodput;
};
Reliability reliability(const ModelConfig& model, std::int64_t chips, double chip_days_per_failure,
                        double storage_bytes_per_s);

// sqrt(2 C M), C: cost of a checkpoint, M: mean time between failures (Young 1974).
double young_interval_s(const FailureModel& model);
// Higher terms (Daly 2006, "A higher order estimate of the optimum checkpoint interval", eq. 37).
double daly_interval_s(const FailureModel& model);
// That of the highest goodput by simulation, not shorter than a checkpoint is written in.
double best_interval_s(const FailureModel& model, double days, std::uint64_t seed = 1);

}  // namespace autarky
