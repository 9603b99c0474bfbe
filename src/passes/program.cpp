#include "passes/program.h"

#include <algorithm>

#include "ops/movement.h"

namespace autarky {

std::string queue_name(Queue q) { return q.axis ? std::string(axis_name(*q.axis)) : "compute"; }

Queue queue_of(const Node& node) {
  if (node.op->movement == Movement::none) return {};
  if (node.op->movement != Movement::collective) return {Axis::pp};
  if (const auto* a = std::any_cast<AllReduce::Attrs>(&node.attrs)) return {a->axis};
  if (const auto* a = std::any_cast<ReduceScatter::Attrs>(&node.attrs)) return {a->axis};
  if (const auto* a = std::any_cast<AllToAll::Attrs>(&node.attrs)) return {a->axis};
  if (node.op == &op_info<Slice>()) return {};
  return {std::any_cast<AllGather::Attrs>(node.attrs).axis};
}

int Program::find_buffer(std::string_view wanted) const {
  for (std::size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].name == wanted) return int(i);
  return -1;
}

int Program::find_block(std::string_view wanted) const {
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].graph.name == wanted) return int(i);
  return -1;
}

std::optional<Pass> parse_pass(std::string_view name) {
  const auto* it = std::find(std::begin(kPassNames), std::end(kPassNames), name);
  if (it == std::end(kPassNames)) return std::nullopt;
  return static_cast<Pass>(it - std::begin(kPassNames));
}

std::map<std::string_view, std::int64_t> Program::bytes_by_kind() const {
  std::map<std::string_view, std::int64_t> bytes;
  for (const auto& b : buffers)
    if (is_static(b.kind) && b.same_as < 0 && !b.borrowed)
      bytes[kBufferKindNames[std::size_t(b.kind)]] += b.bytes;
  bytes["activations"] += slot_bytes;
  bytes["scratch"] += frame_bytes;
  return bytes;
}

}  // namespace autarky
