#include "plan/validate.h"

#include "plan/stage_memory.h"
#include "sim/stack_sheet.h"

namespace autarky {
namespace {

// What runs, where a stack reduces gradients once per step: stages 2 and 3 then send what stage 1
// does, and with a pipeline parameters stay gathered.
EngineOptions options_of(const PublishedRun& run, const Stack& stack) {
  EngineOptions o = run.options;
  const bool gathered = o.zero_stage == 3 && o.mesh.size(Axis::pp) > 1;
  if (stack.reduced_once && (o.zero_stage == 2 || gathered)) o.zero_stage = 1;
  return o;
}

}  // namespace

CompiledRun::CompiledRun(const PublishedRun& run)
    : run_(&run),
      device_{chip_model(chip_sheet(run.chip)), stack_sheet(run.profile).facts},
      options_(options_of(run, device_.stack)),
      stand_in_(stand_in(options_)) {
  device_.stack.attention = run.flash ? AttentionKernel::flash : AttentionKernel::stored;
  device_.stack.fp8 = run.fp8;
  if (run.apart) {
    device_.stack.merged = false;
    device_.stack.overlap_parameters = device_.stack.overlap_gradients = false;
    device_.stack.again_parameters = true;
    // A view and a copy of each part (DeepSpeed 0.3, partition_parameters.py; PyTorch 1.8,
    // ProcessGroupNCCL::allgather). Queries, keys and values are one parameter there, three here.
    device_.stack.part_calls = 2;
  }
  if (run.messages_stop) {
    device_.stack.overlap_messages = device_.stack.scatter_messages = false;
    device_.stack.messages_stop = true;
  }
  if (run.tiles) device_.stack.tensor = TensorOverlap::tiles;
  if (run.plain_tensor) device_.stack.tensor = TensorOverlap::graph;
  if (run.overlapped) {
    device_.stack.overlap_gradients = device_.stack.overlap_parameters = true;
    device_.stack.scatter_messages = true;
    device_.stack.norm_passes = 1;
  }
  device_.stack.again_gathers |= run.again_gathers;
  std::vector<StageMemory> memory(stand_in_.begin(), stand_in_.end());
  const Schedule schedule = make_schedule(options_.schedule, options_.mesh.size(Axis::pp),
                                          options_.chunks, options_.microbatches);
  memory_bytes_ = most(memory_of_stages(memory, schedule, layers_of_parts(options_)));
  if (run.half_batches) device_.stack.tensor = TensorOverlap::half_batches;
}

ValidatedRun CompiledRun::validate(const Calibration& fitted) const {
  Device d = device_;
  apply(fitted, run_->chip, run_->profile, d);
  return {run_, predict(options_, stand_in_, d), memory_bytes_,
          memory_bytes_ <= d.chip.memory_bytes};
}

}  // namespace autarky
