#include "plan/stage_memory.h"

#include <algorithm>
#include <set>

#include "plan/predict.h"

namespace autarky {
namespace {

bool ends_with(const Program& p, int call, std::string_view suffix) {
  return p.blocks[std::size_t(p.calls[std::size_t(call)].block)].graph.name.ends_with(suffix);
}
bool is_layer(const Program& p, int call) {
  return p.blocks[std::size_t(p.calls[std::size_t(call)].block)].graph.name.starts_with("layer.");
}

}  // namespace

StageMemory::StageMemory(const Program& p) : frame_(p.frame_bytes) {
  for (const auto& b : p.buffers) {
    if (b.same_as >= 0) continue;
    if (is_static(b.kind)) add_static(b);
    else add_kept(p, b);
  }
  // The stand-in keeps the passing ones beside those of its micro-batches in flight.
  std::int64_t microbatches = 0;
  for (const auto& call : p.calls)
    microbatches = std::max<std::int64_t>(microbatches, call.microbatch + 1);
  data_ /= std::max<std::int64_t>(1, microbatches);
  passing_ = std::max<std::int64_t>(0, p.slot_bytes - kept_);
}

void StageMemory::add_static(const Buffer& b) {
  if (b.kind == BufferKind::data) data_ += b.bytes;
  else (b.name.find("layer.") != std::string::npos ? per_layer_ : once_)[b.kind] += b.bytes;
}

// Of the first micro-batch: from a forward pass, or the stage before, to a backward pass.
void StageMemory::add_kept(const Program& p, const Buffer& b) {
  if (b.first < 0 || p.calls[std::size_t(b.first)].microbatch != 0) return;
  const bool backward = is_layer(p, b.last) && !ends_with(p, b.last, ".F");
  const bool forward =
      !ends_with(p, b.first, ".B") && !ends_with(p, b.first, ".B.first") &&
      !ends_with(p, b.first, ".FB") && !ends_with(p, b.first, ".FB.first") &&
      !p.blocks[std::size_t(p.calls[std::size_t(b.first)].block)].graph.name.starts_with(
          "gather.") &&
      !ends_with(p, b.first, "receive.dy");
  if (backward && forward) kept_ += b.bytes;
}

BytesByKind StageMemory::bytes(std::int64_t layers, std::int64_t kept,
                               std::int64_t microbatches) const {
  BytesByKind all;
  const auto name = [](BufferKind k) { return kBufferKindNames[std::size_t(k)]; };
  for (const auto& [kind, bytes] : once_) all[name(kind)] += bytes;
  for (const auto& [kind, bytes] : per_layer_) all[name(kind)] += bytes * layers;
  all[name(BufferKind::data)] += data_ * microbatches;
  all["activations"] += kept_ * kept + passing_;
  all["scratch"] += frame_;
  return all;
}

std::int64_t in_flight(const Schedule& schedule, int stage, std::span<const int> part_layers) {
  const SlotKind frees = schedule.splits_backward() ? SlotKind::weights : SlotKind::backward;
  std::int64_t now = 0, most = 0;
  for (const Slot& slot : schedule.stages[std::size_t(stage)]) {
    const int layers = part_layers[std::size_t(schedule.part_of(stage, slot.chunk))];
    if (slot.kind == SlotKind::forward) now += layers;
    most = std::max(most, now);
    if (slot.kind == frees) now -= layers;
  }
  return most;
}

LargestStage largest_stage(std::span<const StageMemory> kinds, const Schedule& schedule,
                           std::span<const int> parts) {
  LargestStage largest;
  std::int64_t most_inside = 0;
  const std::size_t stages = schedule.stages.size();
  for (std::size_t s = 0; s < stages; ++s) {
    std::int64_t layers = 0;
    for (int c = 0; c < schedule.chunks; ++c)
      layers += parts[std::size_t(schedule.part_of(int(s), c))];
    const auto kept = in_flight(schedule, int(s), parts);
    auto bytes =
        kinds[kind_of_stage(s, stages, kinds.size())].bytes(layers, kept, schedule.microbatches);
    if (s > 0 && s + 1 < stages && total(bytes) > most_inside)
      largest.inner = int(s), most_inside = total(bytes);
    if (total(bytes) > total(largest.bytes)) largest.bytes = std::move(bytes);
  }
  return largest;
}

std::int64_t total(const BytesByKind& bytes) {
  std::int64_t sum = 0;
  for (const auto& [kind, n] : bytes) sum += n;
  return sum;
}

BytesByKind planned_memory(const EngineOptions& whole, int inner) {
  // Once the pipeline is full, another micro-batch adds its data and nothing else.
  EngineOptions options = whole;
  if (whole.schedule != PipelineSchedule::gpipe)
    options.microbatches =
        std::min(whole.microbatches, 4 * whole.mesh.size(Axis::pp) * whole.lanes);
  const ModelGraphs graphs = training_graphs(options);
  const StepOptions step = step_options(options);
  BytesByKind most;
  for (const int stage : std::set{0, inner, options.mesh.size(Axis::pp) - 1}) {
    BytesByKind bytes;
    for (const auto& [kind, n] : compile_step(graphs, step, stage).bytes_by_kind())
      if (n > 0) bytes[kind] = n;
    if (const auto data = bytes.find(kBufferKindNames[std::size_t(BufferKind::data)]);
        data != bytes.end())
      data->second = data->second / options.microbatches * whole.microbatches;
    if (total(bytes) > total(most)) most = std::move(bytes);
  }
  return most;
}

}  // namespace autarky
