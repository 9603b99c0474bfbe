#include "train/watch.h"

namespace autarky {

StepWatch::StepWatch(const LoggingSection& options, Session& session, const Mesh& mesh, int rank,
                     std::int64_t next_step)
    : options_(options), session_(session), rank_(rank) {
  if (!options.trace) return;
  values_.emplace(session.program(), rank);
  writer_.emplace(value_path(options.run_dir, next_step, rank), mesh, rank, values_->values());
}

bool StepWatch::keeps_values(std::int64_t step) const {
  return values_ && (step - 1) % options_.trace_every == 0;
}

void StepWatch::before(std::int64_t step) {
  std::vector<Observer*> observers;
  if (keeps_values(step)) observers.push_back(&*values_);
  if (step == options_.capture_step) observers.push_back(&tape_.emplace());
  session_.observe(observers);
}

void StepWatch::after(std::int64_t step) {
  if (keeps_values(step)) writer_->write(step, values_->summaries());
  if (tape_) tape_->write(tape_path(options_.run_dir, step, rank_));
  tape_.reset();
}

}  // namespace autarky
