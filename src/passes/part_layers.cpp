// How a model's layers are cut into the parts of a pipeline.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
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

// Nearly even, but the last part, which has that many.
std::vector<int> with_last(int layers, int parts, int last) {
  std::vector<int> counts;
  const int rest = layers - last, others = parts - 1;
  for (int k = 0; k < others; ++k) counts.push_back(rest * (k + 1) / others - rest * k / others);
  counts.push_back(last);
  return counts;
}

// The most work that a stage has, in layers.
double largest_load(const std::vector<int>& counts, int stages, double head_layers) {
  std::vector<double> load(std::size_t(stages), 0);
  load.back() = head_layers;
  for (std::size_t k = 0; k < counts.size(); ++k) load[k % load.size()] += counts[k];
  return *std::max_element(load.begin(), load.end());
}

// The part that also has the head gets fewer, where that makes the slowest stage faster.
std::vector<int> balanced(int layers, int parts, int stages, double head_layers) {
  if (parts == 1) return {layers};
  const int even = layers - layers * (parts - 1) / parts;
  std::vector<int> best;
  for (int last = even; last >= 1; --last)
    if (auto counts = with_last(layers, parts, last);
        best.empty() ||
        largest_load(counts, stages, head_layers) < largest_load(best, stages, head_layers))
      best = std::move(counts);
  return best;
}

}  // namespace

std::vector<std::pair<int, int>> part_layers(int layers, const StepOptions& o) {
  const int stages = o.mesh.size(Axis::pp), parts = stages * o.chunks;
  check_chunks(o, stages);
  check_parts(o, layers, stages);
  if (!o.stage_layers.empty()) check_given(o, layers, parts);
  const auto counts =
      o.stage_layers.empty() ? balanced(layers, parts, stages, o.head_layers) : o.stage_layers;
  std::vector<std::pair<int, int>> all;
  int first = 0;
  for (const int count : counts) {
    all.emplace_back(first, first + count);
    first += count;
  }
  return all;
}

}  // namespace autarky
