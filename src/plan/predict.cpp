#include "plan/predict.h"

#include <algorithm>
#include <cmath>

#include "models/flops.h"

namespace autarky {
namespace {

std::vector<StageCosts> costs_of(std::span<const Program> kinds, const Device& device, bool again,
                                 std::span<const MeasuredBlocks> measured = {}) {
  std::vector<StageCosts> costs;
  for (std::size_t k = 0; k < kinds.size(); ++k)
    costs.emplace_back(kinds[k], device, again, measured.empty() ? MeasuredBlocks{} : measured[k]);
  return costs;
}

Outline outline_of(const Device& device, const Schedule& schedule, const std::vector<int>& parts,
                   std::span<const StageCosts> kinds) {
  Outline outline{&device.stack, &schedule, {}, parts};
  const std::size_t stages = schedule.stages.size();
  for (std::size_t s = 0; s < stages; ++s)
    outline.stages.push_back(&kinds[kind_of_stage(s, stages, kinds.size())]);
  return outline;
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

Prediction predict(const EngineOptions& o, const Schedule& schedule, const std::vector<int>& parts,
                   std::span<const StageCosts> kinds, const Device& device) {
  const auto stages = std::size_t(o.mesh.size(Axis::pp));
  const OutlineTime time = simulate(outline_of(device, schedule, parts, kinds));
  Prediction p;
  p.spent = time.spent[std::size_t(time.slowest)];
  // The slowest of n normal deviates is about sqrt(2 ln n) standard deviations late.
  const double ranks = o.mesh.ranks();
  p.spent[Part::jitter] = time.step_s * device.stack.jitter * std::sqrt(2 * std::log(ranks));
  p.step_s = time.step_s + p.spent[Part::jitter];
  const double tokens = double(o.batch * o.seq) * o.microbatches * o.mesh.size(Axis::dp);
  p.tokens_per_s = tokens / p.step_s;
  p.mfu = p.tokens_per_s * model_flops_per_token(o.model, o.seq) /
          (device.chip.peak(o.dtype) * o.mesh.ranks());
  for (const auto& spent : time.spent) p.hfu += spent[Part::flops] / (double(stages) * p.step_s);
  return p;
}

Prediction predict(const EngineOptions& o, std::span<const Program> stand_in, const Device& device,
                   std::span<const MeasuredBlocks> measured) {
  const auto costs = costs_of(stand_in, device, o.recompute == Recompute::selective, measured);
  return predict(o, schedule_of(o), layers_of_parts(o), costs, device);
}

FollowedStep follow(const EngineOptions& o, const Device& device) {
  const auto costs = costs_of(stand_in(o), device, o.recompute == Recompute::selective);
  const Schedule schedule = schedule_of(o);
  Outline outline = outline_of(device, schedule, layers_of_parts(o), costs);
  outline.with_timeline = true;
  FollowedStep step{simulate(outline), {}};
  const StageCosts& inner = costs[costs.size() / 2];
  for (const char* block : {"layer.F", "layer.B", "layer.W"})
    if (const BlockCost* cost = inner.find(block))
      step.layer.insert(step.layer.end(), cost->ops.begin(), cost->ops.end());
  return step;
}

}  // namespace autarky
