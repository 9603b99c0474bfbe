// schedule: the order in which the stages of a pipeline run the parts of their micro-batches, what
// they send each other, and what calls wait for.
#pragma once
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "passes/pipeline_schedule.h"
#include "passes/program.h"

namespace autarky {

enum class SlotKind : std::uint8_t {
  forward,
  backward,  // of inputs, and of weights where the schedule does not set them apart
  weights,
};
struct Slot {
  SlotKind kind;
  int chunk;  // of the stage
  int microbatch;
  bool operator==(const Slot&) const = default;
};

// What every stage does, in order. The model is cut into parts; chunk c of stage s is part
// c * stages + s. For every chunk, micro-batches rise in each kind of slot.
struct Schedule {
  PipelineSchedule kind = PipelineSchedule::one_f_one_b;
  int chunks = 1, microbatches = 1;
  std::vector<std::vector<Slot>> stages;

  int parts() const { return int(stages.size()) * chunks; }
  int part_of(int stage, int chunk) const { return chunk * int(stages.size()) + stage; }
  bool splits_backward() const { return kind == PipelineSchedule::zero_bubble; }
};
// chunks: 1, unless the schedule is interleaved. Any number of micro-batches.
Schedule make_schedule(PipelineSchedule kind, int stages, int chunks, int microbatches);

struct TimedSlot {
  Slot slot;
  int start, length;
};
// By stage, if every forward and weights slot took 1 and every backward 2 (1 where it is split)
// and messages nothing. None: the stages wait for each other in a circle.
std::optional<std::vector<std::vector<TimedSlot>>> time_slots(const Schedule& schedule);

// The activation between two parts on its way to the stage behind, or its gradient on the way back.
struct Message {
  bool sent, gradient;
  int border;  // between parts border - 1 and border
  int microbatch;
  int peer;  // the stage at the other end
  bool operator==(const Message&) const = default;
};
// A stage's slots, with a send after each that makes a message and receives before each that needs
// one. What comes from one stage is received in the order in which that stage sends it.
std::vector<std::variant<Slot, Message>> with_messages(const Schedule& schedule, int stage);

// Fills `waits`: for every call the latest calls of other queues that write what it reads.
void connect(Program& program);

}  // namespace autarky
