#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "passes/verify.h"

namespace autarky {
namespace {

const Graph& graph_of(const Program& p, const Call& call) {
  return p.blocks[std::size_t(call.block)].graph;
}

[[noreturn]] void broken(const Program& p, std::size_t call, std::string_view why) {
  const int block = p.calls[call].block;
  const bool known = block >= 0 && std::size_t(block) < p.blocks.size();
  throw Error(fmt::format("the calls are broken: {}", why))
      .at(fmt::format("call {} ({})", call,
                      known ? p.blocks[std::size_t(block)].graph.name : "no block"));
}

void verify_ports(const Program& p, std::size_t call, const std::vector<Port>& ports,
                  const std::vector<int>& buffers) {
  if (ports.size() != buffers.size())
    broken(p, call, fmt::format("{} ports have {} buffers", ports.size(), buffers.size()));
  const Graph& graph = graph_of(p, p.calls[call]);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (buffers[i] < 0 || std::size_t(buffers[i]) >= p.buffers.size())
      broken(p, call, fmt::format("port {} has no buffer", ports[i].name));
    const auto& buffer = p.buffers[std::size_t(buffers[i])];
    if (buffer.type != graph.type(ports[i].value))
      broken(
          p, call,
          fmt::format("port {} is {}, its buffer {} is {}", ports[i].name,
                      to_string(graph.type(ports[i].value)), buffer.name, to_string(buffer.type)));
  }
}

bool is_backward(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& n) { return n.phase == Phase::backward; });
}

// By input port: a receive gets its memory through one, and does not read it.
std::vector<bool> ports_read(const Graph& graph) {
  std::vector<bool> used(graph.values.size());
  for (const auto& node : graph.nodes)
    if (node.op->movement != Movement::receive)
      for (Value v : node.in) used[std::size_t(v.id)] = true;
  for (const auto& port : graph.outputs) used[std::size_t(port.value.id)] = true;
  std::vector<bool> read;
  for (const auto& port : graph.inputs) read.push_back(used[std::size_t(port.value.id)]);
  return read;
}

// Goes through the calls in order.
class CallVerifier {
 public:
  explicit CallVerifier(const Program& p) : p_(p) {
    for (const auto& block : p.blocks) {
      read_.push_back(ports_read(block.graph));
      backward_.push_back(is_backward(block.graph));
    }
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      const int memory = p.buffers[b].same_as;
      if (memory >= int(b))
        throw Error(fmt::format("buffer {} has the memory of a later one", p.buffers[b].name));
      memory_.push_back(memory < 0 ? int(b) : memory_[std::size_t(memory)]);
    }
  }

  void run() {
    for (std::size_t i = 0; i < p_.calls.size(); ++i) {
      verify_call(p_, i);
      verify_reads(i);
      verify_order(i);
      for (int b : p_.calls[i].outputs) writer_[memory_[std::size_t(b)]] = i;
    }
    verify_kept();
  }

 private:
  // The host fills what stays; the rest is made by a call.
  static bool is_made(BufferKind kind) {
    return kind == BufferKind::activation || kind == BufferKind::saved || kind == BufferKind::grad;
  }

  void verify_reads(std::size_t i) {
    const Call& call = p_.calls[i];
    for (std::size_t port = 0; port < call.inputs.size(); ++port) {
      const Buffer& buffer = p_.buffers[std::size_t(call.inputs[port])];
      const auto writer = writer_.find(memory_[std::size_t(call.inputs[port])]);
      if (!read_[std::size_t(call.block)][port]) continue;
      used_.insert(call.inputs[port]);
      if (writer == writer_.end()) {
        if (is_made(buffer.kind))
          broken(p_, i, fmt::format("{} is read before it is made", buffer.name));
        continue;
      }
      const bool waits =
          std::find(call.waits.begin(), call.waits.end(), int(writer->second)) != call.waits.end();
      if (!(p_.calls[writer->second].queue == call.queue) && !waits)
        broken(p_, i,
               fmt::format("it does not wait for call {}, which makes {} in another queue",
                           writer->second, buffer.name));
    }
  }

  void verify_order(std::size_t i) {
    const Call& call = p_.calls[i];
    if (!backward_[std::size_t(call.block)] || call.microbatch < 0) return;
    const std::string& name = graph_of(p_, call).name;
    const auto part = name.substr(0, name.find(".first"));
    const auto [it, fresh] = last_.try_emplace({part, call.layer}, call.microbatch);
    if (!fresh && it->second >= call.microbatch)
      broken(p_, i,
             fmt::format("micro-batch {} comes after {}: gradients are summed in rising order",
                         call.microbatch, it->second));
    it->second = call.microbatch;
  }

  // What a forward keeps has its backward, what a backward keeps its weights.
  void verify_kept() const {
    for (const auto& [b, call] : writer_)
      if (const Buffer& buffer = p_.buffers[std::size_t(b)];
          buffer.kind == BufferKind::saved && !used_.contains(b))
        broken(p_, call, fmt::format("{} is kept and never read", buffer.name));
  }

  const Program& p_;
  std::vector<std::vector<bool>> read_;  // by block and port
  std::vector<bool> backward_;           // by block
  std::vector<int> memory_;              // by buffer: the one whose memory it has
  std::map<int, std::size_t> writer_;
  std::set<int> used_;  // buffers that have been read
  std::map<std::pair<std::string, int>, int> last_;
};

}  // namespace

void verify_call(const Program& p, std::size_t i) {
  const Call& call = p.calls[i];
  if (call.block < 0 || std::size_t(call.block) >= p.blocks.size())
    broken(p, i, fmt::format("there is no block {}", call.block));
  const Graph& graph = graph_of(p, call);
  if (graph.nodes.empty()) broken(p, i, "its block does nothing");
  verify_ports(p, i, graph.inputs, call.inputs);
  verify_ports(p, i, graph.outputs, call.outputs);
  for (int w : call.waits)
    if (w < 0 || w >= int(i))
      broken(p, i, fmt::format("it waits for call {}, which is not earlier", w));
}

void verify_calls(const Program& program) { CallVerifier(program).run(); }

}  // namespace autarky
