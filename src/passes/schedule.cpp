#include "passes/schedule.h"

#include <algorithm>
#include <map>
#include <set>

namespace autarky {

std::vector<Slot> stage_order(PipelineSchedule schedule, int stages, int stage, int microbatches) {
  const int ahead = schedule == PipelineSchedule::gpipe
                        ? microbatches
                        : std::min(stages - stage - 1, microbatches);
  std::vector<Slot> order;
  for (int m = 0; m < ahead; ++m) order.push_back({true, m});
  for (int m = 0; m < microbatches; ++m) {
    if (ahead + m < microbatches) order.push_back({true, ahead + m});
    order.push_back({false, m});
  }
  return order;
}

void connect(Program& program) {
  std::map<int, int> writer;  // buffer -> call
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    Call& call = program.calls[i];
    std::set<int> waits;
    for (int b : call.inputs)
      if (const auto it = writer.find(b);
          it != writer.end() && program.calls[std::size_t(it->second)].queue != call.queue)
        waits.insert(it->second);
    call.waits.assign(waits.begin(), waits.end());
    for (int b : call.outputs) writer[b] = int(i);
  }
}

}  // namespace autarky
