#include "models/engine_options.h"

#include "models/decoder.h"
#include "models/flops.h"

namespace autarky {
namespace {

// What decides where the layers are.
StepOptions pipeline_options(const EngineOptions& o) {
  StepOptions s;
  s.mesh = o.mesh;
  s.schedule = o.schedule;
  s.chunks = o.chunks;
  s.stage_layers = o.stage_layers;
  const ForwardFlops flops = forward_flops_per_token(o.model, o.seq);
  s.head_layers = flops.head / flops.layer;
  return s;
}

}  // namespace

Mesh training_mesh(const ModelConfig& model, int dp, int tp, int pp) {
  Mesh mesh;
  mesh.size(Axis::pp) = pp;
  mesh.size(Axis::dp) = dp;
  mesh.size(Axis::tp) = tp;
  return with_sub_axes(mesh, model.kv_heads, model.heads / model.kv_heads);
}

int stage_of(const EngineOptions& o, ParameterBlock block, std::int64_t layer) {
  const int stages = o.mesh.size(Axis::pp);
  if (block == ParameterBlock::embed) return 0;
  if (block == ParameterBlock::head) return stages - 1;
  const auto parts = part_layers(int(o.model.layers), pipeline_options(o));
  int part = 0;
  while (parts[std::size_t(part)].second <= layer) ++part;
  return part % stages;
}

ModelGraphs training_graphs(const EngineOptions& o) {
  return build_decoder(o.model, {o.dtype, o.batch * o.mesh.size(Axis::dp), o.seq});
}

StepOptions step_options(const EngineOptions& o) {
  StepOptions s = pipeline_options(o);
  s.rules = default_rules(o.sequence_parallel);
  s.zero_stage = o.zero_stage;
  s.recompute = o.recompute;
  s.microbatches = o.microbatches;
  s.lanes = o.lanes;
  s.optimizer = o.optimizer;
  return s;
}

}  // namespace autarky
