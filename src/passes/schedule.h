// schedule: the order in which a pipeline stage runs the forward and backward of its micro-batches,
// and what calls wait for.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "passes/program.h"

namespace autarky {

enum class PipelineSchedule : std::uint8_t {
  gpipe,        // all forwards, then all backwards (Huang et al., 2019)
  one_f_one_b,  // as few micro-batches in flight as there are stages behind (Narayanan et al.,
                // 2019)
};

struct Slot {
  bool forward;
  int microbatch;
};
std::vector<Slot> stage_order(PipelineSchedule schedule, int stages, int stage, int microbatches);

// Fills `waits`: for every call the latest calls of other queues that write what it reads.
void connect(Program& program);

}  // namespace autarky
