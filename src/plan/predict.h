// What a step will take on a device, without compiling all of it.
#pragma once
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "models/engine_options.h"
#include "sim/outline.h"

namespace autarky {

struct Prediction {
  double step_s = 0;
  double tokens_per_s = 0;
  double mfu = 0;  // model FLOPs over the devices' declared peaks
  double hfu = 0;  // all FLOPs of products, those made again too, over the same
  Seconds spent;   // of the stage that is done last; adds up to step_s
};

// The programs of a small stand-in for `options`, of one layer per stage and two micro-batches:
// the first, an inner and the last stage (fewer where there are fewer). Their blocks are those of
// the whole.
std::vector<Program> stand_in(const EngineOptions& options, Pass last = Pass::memory);

// Which of its stages is of the kind of a stage: the first, an inner, the last.
std::size_t kind_of_stage(std::size_t stage, std::size_t stages, std::size_t kinds);

// How many layers every part of the pipeline has. Given ones may be 0.
std::vector<int> layers_of_parts(const EngineOptions& options);

// The device of every stage.
using StageDevices = std::vector<const Device*>;

// `stages`: the costs of every stage, on its device.
Prediction predict(const EngineOptions& options, const Schedule& schedule,
                   const std::vector<int>& part_layers, std::span<const StageCosts* const> stages);
Prediction predict(const EngineOptions& options, std::span<const Program> stand_in,
                   const StageDevices& devices);
// On one device. `measured`: of each stage of the stand-in; empty: all is modelled.
Prediction predict(const EngineOptions& options, std::span<const Program> stand_in,
                   const Device& device, std::span<const MeasuredBlocks> measured = {});

// The step slot by slot, and for every device the operations of an inner stage's layer forward and
// backward.
struct FollowedStep {
  struct Layer {
    const Device* device;
    std::vector<NodeTime> ops;
  };
  OutlineTime time;
  std::vector<Layer> layers;
};
FollowedStep follow(const EngineOptions& options, const StageDevices& devices);

}  // namespace autarky
