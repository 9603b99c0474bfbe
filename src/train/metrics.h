// metrics.jsonl: one JSON object a line, training lines and evaluation lines, appended as they
// come; and the same for TensorBoard in event files beside it.
#pragma once
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/file.h"
#include "formats/tensorboard.h"
#include "ops/fields.h"

namespace autarky {

struct TrainingLine {
  std::int64_t step = 0;
  std::int64_t tokens = 0;  // trained on since the first step
  double loss = 0;          // nats per token
  double grad_norm = 0;     // before clipping
  double lr = 0;
  double tokens_per_s = 0;
  double mfu = 0;     // share of the measured peak
  double step_s = 0;  // seconds
  std::int64_t memory_bytes = 0;
  double predicted_step_s = 0;
  // Of a bad step only: how many were skipped so far, with it; the step whose weights came back.
  std::optional<std::int64_t> skipped = {}, returned_to = {};
  // Of several ranks, by rank, every logging.log_every steps: seconds of the step that were its
  // own, and that it waited for others.
  std::vector<double> rank_own_s = {}, rank_waited_s = {};

  static constexpr auto fields() {
    using S = TrainingLine;
    return std::tuple{field("step", &S::step),
                      field("tokens", &S::tokens),
                      field("loss", &S::loss),
                      field("grad_norm", &S::grad_norm),
                      field("lr", &S::lr),
                      field("tokens_per_s", &S::tokens_per_s),
                      field("mfu", &S::mfu),
                      field("step_s", &S::step_s),
                      field("memory_bytes", &S::memory_bytes),
                      field("predicted_step_s", &S::predicted_step_s),
                      field("skipped", &S::skipped),
                      field("returned_to", &S::returned_to),
                      field("rank_own_s", &S::rank_own_s),
                      field("rank_waited_s", &S::rank_waited_s)};
  }
};

struct EvaluationLine {
  std::int64_t step = 0;  // after this many updates
  double val_loss = 0;    // nats per token

  static constexpr auto fields() {
    using S = EvaluationLine;
    return std::tuple{field("step", &S::step), field("val_loss", &S::val_loss)};
  }
};

// Numbers are written so that they read back as the same bits; one that is not finite as null; what
// has no value is left out.
std::string to_json_line(const TrainingLine& line);
std::string to_json_line(const EvaluationLine& line);

// Appends lines; each is handed to the system as a whole before `write` returns. Throws Error when
// the disk does not take it.
class MetricsWriter {
 public:
  // Starts a new file; with `resume_step` goes on after that step instead: lines of later steps,
  // and a last line that was cut off, are taken away (the file is whole at any time), and so are
  // such events; what follows goes to a new event file.
  explicit MetricsWriter(const fs::path& path, std::optional<std::int64_t> resume_step = {});

  void write(const TrainingLine& line);
  void write(const EvaluationLine& line);

 private:
  void append(const std::string& line);

  fs::path path_;
  std::ofstream out_;
  std::optional<EventWriter> events_;
};

struct Metrics {
  std::vector<TrainingLine> training;  // in the file's order
  std::vector<EvaluationLine> evaluations;
};

// Reads what a MetricsWriter wrote; a last line that was cut off is left out, unknown keys are
// passed over, null reads as NaN. InputError, with file and line, for anything else.
Metrics read_metrics(const fs::path& path);

}  // namespace autarky
