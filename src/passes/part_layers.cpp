// How a model's layers are cut into the parts of a pipeline.
#include <fmt/core.h>
#include <fmt/format.h>

#include <numeric>

#include "base/error.h"
#include "passes/compile.h"

namespace autarky {
namespace {

void check_chunks(const StepOptions& o, int stages) {
  const bool interleaved = o.schedule == PipelineSchedule::interleaved;
  if (o.chunks < 1 || (o.chunks > 1 && !interleaved))
    throw InputError(
        fmt::format("the {} schedule runs stages whole", pipeline_schedule_name(o.schedule)))
        .found(fmt::format("virtual_pipeline_size {}", o.chunks))
        .hint("Use virtual_pipeline_size 1, or pipeline_schedule interleaved");
  if (!interleaved) return;
  if (stages == 1)
    throw InputError("one stage has nothing to interleave with")
        .hint("Use pipeline_schedule 1f1b, or pipeline_parallel_size 2");
  if (o.chunks == 1)
    throw InputError("the interleaved schedule wants stages of 2 chunks or more")
        .found("virtual_pipeline_size 1")
        .hint("Use virtual_pipeline_size 2, or pipeline_schedule 1f1b");
}

// Some layers for every part.
void check_parts(const StepOptions& o, int layers, int stages) {
  if (stages * o.chunks <= layers) return;
  const std::string fits = layers >= 2 * stages && o.chunks > 1
                               ? fmt::format("virtual_pipeline_size {}", layers / stages)
                           : layers >= stages ? "virtual_pipeline_size 1 and pipeline_schedule 1f1b"
                                              : fmt::format("pipeline_parallel_size {}", layers);
  throw InputError(o.chunks > 1
                       ? fmt::format("{} layers cannot be cut into {} stages of {} chunks", layers,
                                     stages, o.chunks)
                       : fmt::format("{} layers cannot be cut into {} stages", layers, stages))
      .hint("The nearest that fits: " + fits);
}

void check_given(const StepOptions& o, int layers, int parts) {
  const auto& given = o.stage_layers;
  const int sum = std::accumulate(given.begin(), given.end(), 0);
  bool fits = int(given.size()) == parts && sum == layers;
  for (int n : given) fits &= n > 0;
  if (!fits)
    throw InputError("stage_layers does not fit the model and the pipeline")
        .found(fmt::format("{} (in all {})", fmt::join(given, " + "), sum))
        .wanted(fmt::format("{} numbers above 0 that add up to {}", parts, layers));
}

}  // namespace

std::vector<std::pair<int, int>> part_layers(int layers, const StepOptions& o) {
  const int stages = o.mesh.size(Axis::pp), parts = stages * o.chunks;
  check_chunks(o, stages);
  check_parts(o, layers, stages);
  if (!o.stage_layers.empty()) check_given(o, layers, parts);
  std::vector<std::pair<int, int>> all;
  for (int k = 0; k < parts; ++k) {
    const int first = k == 0 ? 0 : all.back().second;
    const int end =
        o.stage_layers.empty() ? layers * (k + 1) / parts : first + o.stage_layers[std::size_t(k)];
    all.emplace_back(first, end);
  }
  return all;
}

}  // namespace autarky
