#include "train/planned_recipe.h"

namespace autarky {

Recipe planned_recipe(const EngineOptions& o, std::int64_t global_batch,
                      const std::string& preset) {
  Recipe r;
  r.model.preset = preset;
  r.data.train = {{"data/train", {}}};
  r.train.seq_length = o.seq;
  r.train.micro_batch_size = o.batch;
  r.train.global_batch_size = global_batch;
  r.train.dtype = o.dtype;
  auto& p = r.parallel;
  p.data_parallel_size = o.mesh.size(Axis::dp);
  p.tensor_parallel_size = o.mesh.size(Axis::tp) * o.mesh.size(Axis::tpr);
  p.pipeline_parallel_size = o.mesh.size(Axis::pp);
  p.zero_stage = o.zero_stage;
  p.sequence_parallel = o.sequence_parallel;
  p.pipeline_schedule = o.schedule;
  p.virtual_pipeline_size = o.chunks;
  p.stage_layers.assign(o.stage_layers.begin(), o.stage_layers.end());
  r.recompute = o.recompute;
  return r;
}

}  // namespace autarky
