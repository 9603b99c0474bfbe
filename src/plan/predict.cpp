#include "plan/predict.h"

#include <algorithm>
#include <cmath>

#include "models/flops.h"

namespace autarky {
namespace {

// Costs of the stand-in's stages, on every device that a stage has.
class KindCosts {
 public:
  KindCosts(std::span<const Program> kinds, const StageDevices& devices, bool again,
            std::span<const MeasuredBlocks> measured = {})
      : devices_(devices) {
    for (const Device* d : devices)
      if (auto& costs = by_device_[d]; costs.empty())
        for (std::size_t k = 0; k < kinds.size(); ++k)
          costs.emplace_back(kinds[k], *d, again,
                             measured.empty() ? MeasuredBlocks{} : measured[k]);
  }

  const std::vector<StageCosts>& of(const Device* device) const { return by_device_.at(device); }
  std::vector<const StageCosts*> by_stage() const {
    std::vector<const StageCosts*> stages;
    for (std::size_t s = 0; s < devices_.size(); ++s) {
      const auto& kinds = of(devices_[s]);
      stages.push_back(&kinds[kind_of_stage(s, devices_.size(), kinds.size())]);
    }
    return stages;
  }

 private:
  const StageDevices& devices_;
  std::map<const Device*, std::vector<StageCosts>> by_device_;
};

StageDevices on_all_stages(const EngineOptions& o, const Device& device) {
  return StageDevices(std::size_t(o.mesh.size(Axis::pp)), &device);
}

Schedule schedule_of(const EngineOptions& o) {
  return make_schedule(o.schedule, o.mesh.size(Axis::pp), o.chunks, o.microbatches);
}

}  // namespace

std::size_t kind_of_stage(std::size_t stage, std::size_t stages, std::size_t kinds) {
  return stage == 0 ? 0 : stage + 1 == stages ? kinds - 1 : 1;
}

std::vector<Program> stand_in(const EngineOptions& options, Pass last) {
  EngineOptions o = options;
  const int kinds = std::min(3, o.mesh.size(Axis::pp));
  o.mesh.size(Axis::pp) = kinds;
  o.model.layers = kinds;
  o.chunks = 1;
  if (o.schedule == PipelineSchedule::interleaved) o.schedule = PipelineSchedule::one_f_one_b;
  o.stage_layers.assign(std::size_t(kinds), 1);
  o.microbatches = 2 * o.lanes;
  StepOptions step = step_options(o);
  step.last_pass = last;
  return compile_stages(training_graphs(o), step);
}

std::vector<int> layers_of_parts(const EngineOptions& options) {
  if (!options.stage_layers.empty()) return options.stage_layers;
  std::vector<int> counts;
  for (const auto& [first, end] : part_layers(int(options.model.layers), step_options(options)))
    counts.push_back(end - first);
  return counts;
}

namespace {

// The model's own FLOPs of a stage's step on one rank, at the peak.
double model_flops_s(const EngineOptions& o, const Schedule& schedule,
                     const std::vector<int>& parts, int stage, const Device& device) {
  const auto forward = forward_flops_per_token(o.model, o.seq);
  const bool last = stage + 1 == int(schedule.stages.size());
  double flops = last ? forward.head : 0;
  for (int c = 0; c < schedule.chunks; ++c)
    flops += forward.layer * parts[std::size_t(schedule.part_of(stage, c))];
  const double tp = o.mesh.size(Axis::tp) * o.mesh.size(Axis::tpr);
  return 3 * flops * double(o.batch * o.seq) * o.microbatches / tp / device.chip.peak(o.dtype);
}

// Of a stage: what is made again out of its FLOPs, and what it waits for busier stages out of its
// bubble.
Seconds with_names(Seconds spent, double model_flops_s, std::span<const Seconds> stages) {
  spent[Part::again] = std::max(0.0, spent[Part::flops] - model_flops_s);
  spent[Part::flops] -= spent[Part::again];
  const auto busy = [](const Seconds& s) { return s.total() - s[Part::bubble]; };
  double busiest = 0;
  for (const auto& stage : stages) busiest = std::max(busiest, busy(stage));
  spent[Part::slower] = std::min(spent[Part::bubble], busiest - busy(spent));
  spent[Part::bubble] -= spent[Part::slower];
  return spent;
}

// Tokens and targets, four bytes each, that the host gives a rank before its step.
double input_s(const EngineOptions& o) {
  return 8.0 * double(o.batch * o.seq) * o.microbatches / kHostBytesPerS;
}

}  // namespace

Prediction predict(const EngineOptions& o, const Schedule& schedule, const std::vector<int>& parts,
                   std::span<const StageCosts* const> stages) {
  const OutlineTime time = simulate(Outline{&schedule, {stages.begin(), stages.end()}, parts});
  const Device& slowest = stages[std::size_t(time.slowest)]->device();
  Prediction p;
  p.spent = with_names(time.spent[std::size_t(time.slowest)],
                       model_flops_s(o, schedule, parts, time.slowest, slowest), time.spent);
  const double ranks = o.mesh.ranks() / double(stages.size());  // of a stage
  double jitter = 0, peaks = 0;                                 // peaks: of all ranks
  for (const auto* stage : stages) {
    jitter = std::max(jitter, stage->device().stack.jitter);
    peaks += stage->device().chip.peak(o.dtype) * ranks;
  }
  p.spent[Part::input] = input_s(o);
  // The slowest of n normal deviates is about sqrt(2 ln n) standard deviations late.
  p.spent[Part::jitter] = time.step_s * jitter * std::sqrt(2 * std::log(double(o.mesh.ranks())));
  p.step_s = time.step_s + p.spent[Part::input] + p.spent[Part::jitter];
  const double tokens = double(o.batch * o.seq) * o.microbatches * o.mesh.size(Axis::dp);
  p.tokens_per_s = tokens / p.step_s;
  p.mfu = p.tokens_per_s * model_flops_per_token(o.model, o.seq) / peaks;
  for (std::size_t s = 0; s < stages.size(); ++s)
    p.hfu += time.spent[s][Part::flops] * stages[s]->device().chip.peak(o.dtype) * ranks /
             (peaks * p.step_s);
  return p;
}

Prediction predict(const EngineOptions& o, std::span<const Program> stand_in,
                   const StageDevices& devices) {
  const KindCosts costs(stand_in, devices, o.recompute == Recompute::selective);
  return predict(o, schedule_of(o), layers_of_parts(o), costs.by_stage());
}

Prediction predict(const EngineOptions& o, std::span<const Program> stand_in, const Device& device,
                   std::span<const MeasuredBlocks> measured) {
  const StageDevices devices = on_all_stages(o, device);
  const KindCosts costs(stand_in, devices, o.recompute == Recompute::selective, measured);
  return predict(o, schedule_of(o), layers_of_parts(o), costs.by_stage());
}

FollowedStep follow(const EngineOptions& o, const StageDevices& devices) {
  const KindCosts costs(stand_in(o), devices, o.recompute == Recompute::selective);
  const Schedule schedule = schedule_of(o);
  FollowedStep step{simulate(Outline{&schedule, costs.by_stage(), layers_of_parts(o), true}), {}};
  for (const Device* device : devices) {
    if (!step.layers.empty() && step.layers.back().device == device) continue;
    auto& layer = step.layers.emplace_back(FollowedStep::Layer{device, {}});
    const auto& kinds = costs.of(device);
    for (const char* block : {"layer.F", "layer.B", "layer.W"})
      if (const BlockCost* cost = kinds[kinds.size() / 2].find(block))
        layer.ops.insert(layer.ops.end(), cost->ops.begin(), cost->ops.end());
  }
  return step;
}

}  // namespace autarky
