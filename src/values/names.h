// The values that one rank's step makes, by names that no layout is in.
#pragma once
#include <compare>
#include <string>
#include <vector>

#include "passes/program.h"

namespace autarky {

// Two runs of one model give the same name to the same value, whatever their layouts, schedules and
// recomputation. A movement makes no value: its result is what it moves, in another layout.
struct ValueName {
  std::string block;  // "layer", "head"; "optimizer.layer" and the like once per step
  int layer = -1;
  std::string operation;  // "contract #14"; what has no number: "grad.q_proj.weight", a port
  int output = 0;
  int microbatch = -1;  // of the step over all ranks; -1: comes once per step
  int since = -1;       // of a running sum: the first micro-batch in it
  int together = 1;  // data-parallel ranks whose micro-batches are in it at once, by ZeRO 2 and 3

  auto operator<=>(const ValueName&) const = default;
};
// "layer 3, micro-batch 2, contract #14"
std::string to_string(const ValueName& name);

// One place where a rank makes or receives it.
struct NamedValue {
  ValueName name;
  int call = 0, node = 0, result = 0;
  int order = 0;       // forwards rise, backwards fall: where the name stands in its micro-batch
  Type type;           // as the name means it: without the axis dp where it counts micro-batches
  std::string source;  // "decoder.cpp:57"
};

// In the order of the calls. What has no name of its own is left out: what comes from another
// stage, and sums over parameters and over lanes, whose order is the layout's.
std::vector<NamedValue> name_values(const Program& program, const Coordinates& at);

}  // namespace autarky
