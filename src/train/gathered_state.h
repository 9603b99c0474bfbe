// A run's state out of the parts that ranks hold: whole values of a parameter, on the rank that
// writes them.
#pragma once
#include <span>
#include <vector>

#include "train/checkpoint.h"
#include "train/engine.h"

namespace autarky {

// The share of one rank in the checkpoints of such a run.
CheckpointShare share_of(const EngineOptions& options, int rank);

// Every rank makes one at the same time, begins it, and gets what it owns in the order of
// state_order(): on the way to its own parameters it hands the others theirs.
class GatheredState {
 public:
  GatheredState(const TrainingEngine& engine, const CheckpointShare& share);

  void begin() { serve_others(); }
  void get(StatePart part, const ParameterSpec& spec, std::int64_t layer, std::span<float> values);

 private:
  void serve_others();  // up to the next of its own, or the end
  void gather(const StateItem& item, std::span<float> whole);

  const TrainingEngine& engine_;
  const CheckpointShare& share_;
  std::vector<ParameterInstance> parameters_;
  std::vector<StateItem> order_;
  std::size_t next_ = 0;
  std::vector<float> part_;  // of another rank
};

}  // namespace autarky
