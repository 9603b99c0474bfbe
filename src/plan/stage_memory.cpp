#include "plan/stage_memory.h"

#include <algorithm>

#include "plan/predict.h"

namespace autarky {
namespace {

const std::string& block_of(const Program& p, int call) {
  return p.blocks[std::size_t(p.calls[std::size_t(call)].block)].graph.name;
}

// What a call does: a layer's passes; all that comes before the backward pass; the rest.
enum class Stands : std::uint8_t { forward, backward, weights, other };
Stands stands(const std::string& block) {
  if (block.starts_with("gather.") || block.ends_with("receive.dy")) return Stands::other;
  if (block.ends_with(".W") || block.ends_with(".W.first")) return Stands::weights;
  if (block.ends_with("B") || block.ends_with("B.first")) return Stands::backward;
  return Stands::forward;
}

bool covers(const InFlight& a, const InFlight& b) {
  return a.for_backward >= b.for_backward && a.for_weights >= b.for_weights &&
         a.between >= b.between;
}

}  // namespace

StageMemory::StageMemory(const Program& p) : frame_(p.frame_bytes) {
  std::vector<std::int64_t> alive(p.calls.size());  // kept bytes, by call
  for (const auto& b : p.buffers) {
    if (b.same_as >= 0) continue;
    if (is_static(b.kind)) add_static(b);
    else add_kept(p, b, alive);
  }
  std::int64_t microbatches = 0;
  for (const auto& call : p.calls)
    microbatches = std::max<std::int64_t>(microbatches, call.microbatch + 1);
  data_ /= std::max<std::int64_t>(1, microbatches);
  passing_ = p.slot_bytes;
  if (!alive.empty()) passing_ -= *std::max_element(alive.begin(), alive.end());
}

void StageMemory::add_static(const Buffer& b) {
  if (b.kind == BufferKind::data) data_ += b.bytes;
  else (b.name.find("layer.") != std::string::npos ? per_layer_ : once_)[b.kind] += b.bytes;
}

// What a later pass of a layer waits for: of the first micro-batch.
void StageMemory::add_kept(const Program& p, const Buffer& b, std::vector<std::int64_t>& alive) {
  if (b.first < 0) return;
  const std::string &first = block_of(p, b.first), &last = block_of(p, b.last);
  if (!last.starts_with("layer.")) return;
  const Stands from = stands(first), to = stands(last);
  std::int64_t* kept = nullptr;
  if (from == Stands::forward && to == Stands::backward) kept = &kept_.for_backward;
  if (from == Stands::forward && to == Stands::weights) kept = &kept_.for_weights;
  if (from == Stands::backward && to == Stands::weights) kept = &kept_.between;
  if (!kept) return;
  for (int call = b.first; call <= b.last; ++call) alive[std::size_t(call)] += b.bytes;
  if (p.calls[std::size_t(b.first)].microbatch == 0) *kept += b.bytes;
}

BytesByKind StageMemory::bytes(std::int64_t layers, std::span<const InFlight> waiting,
                               std::int64_t microbatches) const {
  BytesByKind all;
  const auto name = [](BufferKind k) { return kBufferKindNames[std::size_t(k)]; };
  for (const auto& [kind, bytes] : once_) all[name(kind)] += bytes;
  for (const auto& [kind, bytes] : per_layer_) all[name(kind)] += bytes * layers;
  all[name(BufferKind::data)] += data_ * microbatches;
  std::int64_t most = 0;
  for (const auto& w : waiting)
    most = std::max(most, kept_.for_backward * w.for_backward + kept_.for_weights * w.for_weights +
                              kept_.between * w.between);
  all["activations"] += most + passing_;
  all["scratch"] += frame_;
  return all;
}

std::vector<InFlight> in_flight(const Schedule& schedule, int stage,
                                std::span<const int> part_layers) {
  InFlight now;
  std::vector<InFlight> most;
  for (const Slot& slot : schedule.stages[std::size_t(stage)]) {
    const int layers = part_layers[std::size_t(schedule.part_of(stage, slot.chunk))];
    if (slot.kind == SlotKind::forward) {
      now.for_backward += layers;
      now.for_weights += layers;
    } else if (slot.kind == SlotKind::backward) {
      now.for_backward -= layers;
      if (schedule.splits_backward()) now.between += layers;
      else now.for_weights -= layers;
    } else {
      now.for_weights -= layers;
      now.between -= layers;
    }
    if (std::any_of(most.begin(), most.end(), [&](const auto& m) { return covers(m, now); }))
      continue;
    std::erase_if(most, [&](const auto& m) { return covers(now, m); });
    most.push_back(now);
  }
  return most;
}

std::vector<BytesByKind> memory_of_stages(std::span<const StageMemory> kinds,
                                          const Schedule& schedule, std::span<const int> parts) {
  std::vector<BytesByKind> all;
  const std::size_t stages = schedule.stages.size();
  for (std::size_t s = 0; s < stages; ++s) {
    std::int64_t layers = 0;
    for (int c = 0; c < schedule.chunks; ++c)
      layers += parts[std::size_t(schedule.part_of(int(s), c))];
    all.push_back(kinds[kind_of_stage(s, stages, kinds.size())].bytes(
        layers, in_flight(schedule, int(s), parts), schedule.microbatches));
  }
  return all;
}

std::int64_t total(const BytesByKind& bytes) {
  std::int64_t sum = 0;
  for (const auto& [kind, n] : bytes) sum += n;
  return sum;
}

std::int64_t most(std::span<const BytesByKind> stages) {
  std::int64_t bytes = 0;
  for (const auto& stage : stages) bytes = std::max(bytes, total(stage));
  return bytes;
}

std::vector<BytesByKind> planned_memory(const EngineOptions& whole, std::span<const int> stages) {
  // Once the pipeline is full, another micro-batch adds its data and nothing else.
  EngineOptions options = whole;
  if (whole.schedule != PipelineSchedule::gpipe)
    options.microbatches =
        std::min(whole.microbatches, 4 * whole.mesh.size(Axis::pp) * whole.lanes);
  const ModelGraphs graphs = training_graphs(options);
  const StepOptions step = step_options(options);
  std::vector<BytesByKind> all;
  for (const int stage : stages) {
    BytesByKind& bytes = all.emplace_back();
    for (const auto& [kind, n] : compile_step(graphs, step, stage).bytes_by_kind())
      if (n > 0) bytes[kind] = n;
    if (const auto data = bytes.find(kBufferKindNames[std::size_t(BufferKind::data)]);
        data != bytes.end())
      data->second = data->second / options.microbatches * whole.microbatches;
  }
  return all;
}

}  // namespace autarky
