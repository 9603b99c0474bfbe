// Bad steps: those whose loss or gradient norm is not finite or far above those before. A bad step
// changes no weight (ops/adamw.h decides, by the limits); after too many in a row the run goes back
// to a checkpoint. See docs/decisions/0006-bad-steps.md.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace autarky {

struct StepLimits;
struct StepResult;
struct TrainSection;

// What a run knows of its steps, good and bad; part of its checkpoints.
struct StepHistory {
  std::vector<double> norms;     // of the gradients of the last good steps, oldest first
  std::vector<double> losses;    // of the same
  std::int64_t updates = 0;      // that made the weights and moments: what AdamW counts
  std::int64_t bad = 0;          // steps in a row, up to now
  std::int64_t skipped = 0;      // bad steps, all in all
  std::int64_t returned_at = 0;  // the step after which the run last went back; 0: never

  bool operator==(const StepHistory&) const = default;
};

// Once there are spike_window good steps: spike_factor x the median norm, and x the median loss or
// 1 nat if that is less.
StepLimits step_limits(const StepHistory& history, const TrainSection& section);
// Takes note of a step.
void add_step(StepHistory& history, const TrainSection& section, const StepResult& result);
// Why it was bad: "loss 3.2, gradient norm 97 (the norm is above 12, 10 times the median of the
// last 100 good steps)".
std::string describe_bad_step(const StepResult& result, const StepLimits& limits,
                              const TrainSection& section);

// Whether a run whose steps `first_bad`, ... are bad may go back to the checkpoint of `step`: a
// good step was computed from its weights, and the run has not gone back to it, or over it, before.
bool may_return_to(const StepHistory& history, std::int64_t first_bad, std::int64_t step);

Json to_json(const StepHistory& history);
// InputError at `where` for what to_json does not write.
StepHistory step_history(const Json& json, std::string_view where);

}  // namespace autarky
