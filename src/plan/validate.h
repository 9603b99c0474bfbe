// Predictions beside published runs.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "plan/predict.h"
#include "plan/published.h"
#include "sim/calibration.h"

namespace autarky {

struct ValidatedRun {
  const PublishedRun* run = nullptr;
  Prediction prediction;
  std::int64_t memory_bytes = 0;  // of the stage that needs most
  bool fits = false;
  double error() const { return prediction.step_s / run->step_s - 1; }
};

// A run with the blocks of its step, which do not depend on fitted numbers.
class CompiledRun {
 public:
  explicit CompiledRun(const PublishedRun& run);
  const PublishedRun& run() const { return *run_; }
  ValidatedRun validate(const Calibration& fitted) const;

 private:
  const PublishedRun* run_;
  Device device_;  // by its chip's sheet and its stack's profile, and what the run says itself
  EngineOptions options_;
  std::int64_t memory_bytes_ = 0;
  std::vector<Program> stand_in_;
};

struct Errors {
  std::vector<double> all, left_out;  // absolute, relative

  static double mean(const std::vector<double>& errors);
};

// A table of runs: predicted by the fitted numbers, and by what is fitted without a run's source.
struct Validation {
  std::vector<PublishedRun> runs;  // all, also those that are refused
  std::vector<CompiledRun> compiled;
  Calibration fitted;
  std::vector<ValidatedRun> rows, left_out;
  Errors errors, read;  // of all rows; of those that nothing was assumed of
  std::map<std::string, Errors> by_profile;
  int within = 0;  // left out, and in the interval of their prediction
};

// Moving, since rows point into `runs`. `refit`: fits anew before. InputError where no row can be
// compared.
std::unique_ptr<Validation> validate_runs(const fs::path& table, bool refit,
                                          const std::function<void(int done, int all)>& progress);

}  // namespace autarky
