// One rank of each kind of a plan, run on this machine as if the other ranks were there: its
// programs at their true shapes, movements between ranks left out.
#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "runtime/session.h"
#include "sim/block_cost.h"

namespace autarky {

// Stands in for all other ranks: what they would send is there at once, and is 0.0115 (integers:
// zero) whatever was sent to them. Slices, which need nobody, are made as usual.
class AbsentRanks : public Observer {
 public:
  using Made = std::function<void(const Node& node, const Block& block)>;
  explicit AbsentRanks(Made made = {}) : made_(std::move(made)) {}

  void begins(const Session& session) override { program_ = &session.program(); }
  void made(std::size_t call, std::size_t node, std::span<const Tensor> out) override;
  bool moves(std::size_t call, std::size_t node, std::span<const Tensor> out) override;

 private:
  const Program* program_ = nullptr;
  Made made_;
};

struct MeasureRequest {
  std::vector<Program> kinds;     // of rank, after Pass::bucket
  std::int64_t vocab = 0;         // token ids are below it
  std::int64_t seq = 0;           // and positions below that
  std::int64_t memory_bytes = 0;  // that a rank may take here
  double least_s = 1;             // kinds are run again until so much time of all is measured
  int least_runs = 5;             // and so often, where that takes less than 20 s
  // Of the work there is, in seconds that the caller's device would take.
  std::function<double(const Cost& cost)> work_s;
  std::function<void(double done_s, double all_s)> progress;
  Observer* watch = nullptr;  // looks on
};

struct MeasuredRanks {
  std::vector<MeasuredBlocks> kinds;  // of `MeasureRequest::kinds`
  bool update = true;                 // false: what comes once per step did not fit
  std::int64_t memory_bytes = 0;      // of the largest
};

// Medians over the runs after the first, which warms up; a first run of a minute and more is the
// only one. A block that several kinds have is run in the first of them. InputError where the
// blocks of a micro-batch do not fit in memory.
MeasuredRanks measure_ranks(const MeasureRequest& request, const Backend& backend);

}  // namespace autarky
