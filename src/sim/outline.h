// A step of many layers and micro-batches, followed without compiling its calls: the blocks of a
// small stand-in of the model, called as the schedule says. For searches; simulate.h follows every
// call of a program.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "passes/schedule.h"
#include "passes/timeline.h"
#include "sim/stage_clock.h"

namespace autarky {

// What a stage's blocks take, from the program of a stage of the same kind: the first, one between,
// or the last.
class StageCosts {
 public:
  // again: what the stack recomputes selectively is added to the backward pass. Blocks that are not
  // in `measured` are modelled. The device stays where it is.
  StageCosts(const Program& program, const Device& device, bool again,
             const MeasuredBlocks& measured = {});

  const Device& device() const { return *device_; }
  // Null: the stage has no such block.
  const BlockCost* find(const std::string& block) const;
  // What comes once per step: for the stage, and for every layer of it.
  const BlockCost& once() const { return once_; }
  const BlockCost& once_per_layer() const { return once_per_layer_; }

 private:
  const Device* device_;
  std::map<std::string, BlockCost> blocks_;
  BlockCost once_, once_per_layer_;
};

struct Outline {
  const Schedule* schedule = nullptr;
  std::vector<const StageCosts*> stages;  // on one device, or on several
  std::vector<int> part_layers;           // by part: Schedule::part_of
  bool with_timeline = false;
};

struct OutlineTime {
  double step_s = 0;
  int slowest = 0;             // the stage that is done last
  std::vector<Seconds> spent;  // by stage
  std::vector<Timeline>
      timelines;  // by stage, if asked for: an event per slot, and what comes once
};
OutlineTime simulate(const Outline& outline);

}  // namespace autarky
