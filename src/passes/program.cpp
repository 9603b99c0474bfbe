#include "passes/program.h"

#include <fmt/core.h>

#include <set>

#include "base/error.h"
#include "base/words.h"
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

std::map<std::string_view, std::int64_t> Program::bytes_by_kind() const {
  std::map<std::string_view, std::int64_t> bytes;
  for (const auto& b : buffers)
    if (is_static(b.kind) && b.same_as < 0 && !b.borrowed)
      bytes[kBufferKindNames[std::size_t(b.kind)]] += b.bytes;
  bytes["activations"] += slot_bytes;
  bytes["scratch"] += frame_bytes;
  return bytes;
}

namespace {

[[noreturn]] void broken(const Program& p, std::size_t call, std::string_view why) {
  throw Error(fmt::format("the program is broken: {}", why))
      .at(fmt::format("{}, call {} ({})", p.name, call,
                      p.blocks[std::size_t(p.calls[call].block)].graph.name));
}

void verify_ports(const Program& p, std::size_t call, const std::vector<Port>& ports,
                  const std::vector<int>& buffers) {
  if (ports.size() != buffers.size()) broken(p, call, "a port is without a buffer");
  const Graph& graph = p.blocks[std::size_t(p.calls[call].block)].graph;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto& buffer = p.buffers.at(std::size_t(buffers[i]));
    if (buffer.type != graph.type(ports[i].value))
      broken(
          p, call,
          fmt::format("port {} is {}, its buffer {} is {}", ports[i].name,
                      to_string(graph.type(ports[i].value)), buffer.name, to_string(buffer.type)));
  }
}

}  // namespace

void verify(const Program& p) {
  for (const auto& block : p.blocks) verify(block.graph);
  std::map<std::pair<int, int>, int> last_backward;
  for (std::size_t i = 0; i < p.calls.size(); ++i) {
    const Call& call = p.calls[i];
    const Graph& graph = p.blocks.at(std::size_t(call.block)).graph;
    verify_ports(p, i, graph.inputs, call.inputs);
    verify_ports(p, i, graph.outputs, call.outputs);
    for (int w : call.waits)
      if (w >= int(i)) broken(p, i, "waits for a later call");
    if (!graph.name.ends_with(".B") || call.layer < 0) continue;
    const auto [it, fresh] = last_backward.try_emplace({call.block, call.layer}, call.microbatch);
    if (!fresh && it->second >= call.microbatch)
      broken(p, i, "micro-batches of the backward do not rise");
    it->second = call.microbatch;
  }
}

std::string print(const Program& p) {
  std::string text =
      fmt::format("program {} on {}, stage {}\n", p.name, p.mesh.to_string(), p.stage);
  for (const auto& block : p.blocks)
    text +=
        fmt::format("frame of {}\n{}", human_bytes(double(block.frame.bytes)), print(block.graph));
  for (const auto& b : p.buffers)
    text +=
        fmt::format("buffer {} {} at {} calls {}..{} {}\n", kBufferKindNames[std::size_t(b.kind)],
                    b.name, b.offset, b.first, b.last, to_string(b.type));
  for (std::size_t i = 0; i < p.calls.size(); ++i) {
    const Call& c = p.calls[i];
    text += fmt::format("call {} {} layer {} micro-batch {} on {}", i,
                        p.blocks[std::size_t(c.block)].graph.name, c.layer, c.microbatch,
                        queue_name(c.queue));
    for (int w : c.waits) text += fmt::format("{}{}", w == c.waits.front() ? " after " : ", ", w);
    text += "\n";
  }
  return text + fmt::format("memory: static {} + slots {} + frame {} = {} bytes\n", p.static_bytes,
                            p.slot_bytes, p.frame_bytes, p.arena_bytes());
}

}  // namespace autarky
