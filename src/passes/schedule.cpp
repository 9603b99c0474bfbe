#include "passes/schedule.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"

namespace autarky {
namespace {

// `ahead` forwards, then forwards and backwards in turn, then the backwards that are left.
std::vector<Slot> in_turn(const std::vector<Slot>& forwards, const std::vector<Slot>& backwards,
                          int ahead) {
  std::vector<Slot> order;
  std::size_t next = std::min(std::size_t(ahead), forwards.size());
  order.assign(forwards.begin(), forwards.begin() + std::ptrdiff_t(next));
  for (const Slot& slot : backwards) {
    if (next < forwards.size()) order.push_back(forwards[next++]);
    order.push_back(slot);
  }
  return order;
}

// Micro-batches go through the chunks in groups of as many as there are stages, so that a chunk's
// results come round just in time; the last group takes the rest too.
std::vector<Slot> in_groups(SlotKind kind, int stages, int chunks, int microbatches) {
  std::vector<Slot> order;
  const int groups = std::max(1, microbatches / stages);
  for (int g = 0; g < groups; ++g)
    for (int c = 0; c < chunks; ++c)
      for (int m = g * stages; m < (g + 1 == groups ? microbatches : (g + 1) * stages); ++m)
        order.push_back({kind, kind == SlotKind::forward ? c : chunks - 1 - c, m});
  return order;
}

// The weights of micro-batch m come when stage s has done s more backwards: then no stage keeps
// more than the first one.
std::vector<Slot> with_weights(const std::vector<Slot>& order, int stage, int microbatches) {
  std::vector<Slot> all;
  int weights = 0;
  for (const Slot& slot : order) {
    all.push_back(slot);
    if (slot.kind == SlotKind::backward && slot.microbatch >= stage)
      all.push_back({SlotKind::weights, slot.chunk, weights++});
  }
  while (weights < microbatches) all.push_back({SlotKind::weights, 0, weights++});
  return all;
}

// Forwards that a stage is ahead of its backwards.
int forwards_ahead(const Schedule& s, int stage, int more) {
  const int behind = int(s.stages.size()) - stage - 1;
  if (s.kind == PipelineSchedule::gpipe) return s.microbatches;
  if (s.kind != PipelineSchedule::interleaved) return behind;
  return 2 * behind + (s.chunks - 1) * int(s.stages.size()) + more;
}

void fill(Schedule& s, int more) {
  const int n = int(s.stages.size());
  const auto forwards = in_groups(SlotKind::forward, n, s.chunks, s.microbatches),
             backwards = in_groups(SlotKind::backward, n, s.chunks, s.microbatches);
  for (int stage = 0; stage < n; ++stage) {
    auto& order = s.stages[std::size_t(stage)];
    order = in_turn(forwards, backwards, forwards_ahead(s, stage, more));
    if (s.splits_backward()) order = with_weights(order, stage, s.microbatches);
  }
}

// Follows the slots of all stages.
class SlotClock {
 public:
  explicit SlotClock(const Schedule& s)
      : s_(s),
        ends_(3 * std::size_t(s.parts()) * std::size_t(s.microbatches), -1),
        times_(s.stages.size()) {}

  bool run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t stage = 0; stage < times_.size(); ++stage)
        while (times_[stage].size() < s_.stages[stage].size() && advance(stage)) moved = true;
    }
    for (std::size_t stage = 0; stage < times_.size(); ++stage)
      if (times_[stage].size() < s_.stages[stage].size()) return false;
    return true;
  }
  std::vector<std::vector<TimedSlot>> take() { return std::move(times_); }

 private:
  int& end(SlotKind kind, int part, int m) {
    return ends_[(std::size_t(kind) * std::size_t(s_.parts()) + std::size_t(part)) *
                     std::size_t(s_.microbatches) +
                 std::size_t(m)];
  }
  // When what a slot needs is there; -1: not yet.
  int ready(const Slot& slot, int part) {
    const int m = slot.microbatch;
    if (slot.kind == SlotKind::weights) return end(SlotKind::backward, part, m);
    if (slot.kind == SlotKind::forward) return part == 0 ? 0 : end(SlotKind::forward, part - 1, m);
    const int own = end(SlotKind::forward, part, m);
    if (part + 1 == s_.parts() || own < 0) return own;
    const int behind = end(SlotKind::backward, part + 1, m);
    return behind < 0 ? -1 : std::max(own, behind);
  }
  bool advance(std::size_t stage) {
    auto& done = times_[stage];
    const Slot slot = s_.stages[stage][done.size()];
    const int part = s_.part_of(int(stage), slot.chunk);
    const int from = ready(slot, part);
    if (from < 0) return false;
    const int start = std::max(from, done.empty() ? 0 : done.back().start + done.back().length);
    const int length = slot.kind == SlotKind::backward && !s_.splits_backward() ? 2 : 1;
    done.push_back({slot, start, length});
    end(slot.kind, part, slot.microbatch) = start + length;
    return true;
  }

  const Schedule& s_;
  std::vector<int> ends_;  // by kind, part and micro-batch
  std::vector<std::vector<TimedSlot>> times_;
};

}  // namespace

std::optional<PipelineSchedule> parse_pipeline_schedule(std::string_view name) {
  const auto* it =
      std::find(std::begin(kPipelineScheduleNames), std::end(kPipelineScheduleNames), name);
  if (it == std::end(kPipelineScheduleNames)) return std::nullopt;
  return static_cast<PipelineSchedule>(it - std::begin(kPipelineScheduleNames));
}
std::string_view pipeline_schedule_name(PipelineSchedule schedule) {
  return kPipelineScheduleNames[static_cast<std::size_t>(schedule)];
}

// With other numbers of micro-batches than multiples of the stages, interleaved stages can wait for
// each other in a circle; a few forwards more, at most all of them, undo it.
Schedule make_schedule(PipelineSchedule kind, int stages, int chunks, int microbatches) {
  AUTARKY_CHECK(stages > 0 && chunks > 0 && microbatches > 0, "a schedule of nothing");
  AUTARKY_CHECK(chunks == 1 || kind == PipelineSchedule::interleaved, "chunks are interleaved");
  Schedule s{kind, chunks, microbatches, std::vector<std::vector<Slot>>(std::size_t(stages))};
  for (int more = 0; more <= chunks * microbatches; ++more) {
    fill(s, more);
    if (SlotClock(s).run()) break;
  }
  return s;
}

std::optional<std::vector<std::vector<TimedSlot>>> time_slots(const Schedule& schedule) {
  SlotClock clock(schedule);
  if (!clock.run()) return std::nullopt;
  return clock.take();
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
