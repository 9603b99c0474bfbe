// What a run keeps of its steps for `autarky diff` and `autarky replay`, as logging.* asks for.
#pragma once
#include <optional>

#include "train/recipe.h"
#include "values/recorder.h"
#include "values/tape.h"

namespace autarky {

class StepWatch {
 public:
  // `next_step`: the first of this session of the run.
  StepWatch(const LoggingSection& options, Session& session, const Mesh& mesh, int rank,
            std::int64_t next_step);
  // Around TrainingEngine::step.
  void before(std::int64_t step);
  void after(std::int64_t step);

 private:
  bool keeps_values(std::int64_t step) const;

  LoggingSection options_;
  Session& session_;
  int rank_;
  std::optional<ValueRecorder> values_;
  std::optional<ValueWriter> writer_;
  std::optional<TapeRecorder> tape_;  // of the step at hand
};

}  // namespace autarky
