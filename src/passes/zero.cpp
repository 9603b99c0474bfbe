#include "passes/zero.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "ops/accumulate.h"
#include "passes/convert.h"

namespace autarky {
namespace {

std::vector<Node> take_nodes(Graph& graph) { return std::exchange(graph.nodes, {}); }

bool is_gradient(const Graph& graph, Value v) {
  return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                     [&](const Port& p) { return p.kind == PortKind::grad && p.value.id == v.id; });
}

}  // namespace

std::vector<Axis> zero_axes(int stage, const Type& param, const Mesh& mesh) {
  const auto ranks = mesh.size(Axis::dp);
  if (stage == 0 || ranks == 1) return {};
  if (local_type(param, mesh).elements() < ranks * kFlatBlock) return {};
  return {Axis::dp};
}

void shard_gradients(Graph& joint, const Mesh& mesh) {
  for (Node& node : take_nodes(joint)) {
    const bool adds = node.op == &op_info<Accumulate>() && is_gradient(joint, node.out[0]);
    const auto axes = adds ? zero_axes(2, joint.type(node.in[1]), mesh) : std::vector<Axis>{};
    if (!axes.empty()) {
      Layout wanted = joint.type(node.in[1]).layout;
      wanted.flat = axes;
      std::erase_if(wanted.partial, [&](const Partial& p) {
        return std::find(axes.begin(), axes.end(), p.axis) != axes.end();
      });
      joint.phase = node.phase;
      node.in[1] = convert_layout(joint, node.in[1], wanted, "gradient, " + node.source);
      joint.type(node.in[0]).layout = joint.type(node.out[0]).layout = wanted;
    }
    joint.nodes.push_back(std::move(node));
  }
}

namespace {

// Turns a program's calls into ones whose parameters lie flat.
class Gatherer {
 public:
  explicit Gatherer(Program& program) : p_(program) {}

  void run() {
    lay_flat();
    std::size_t last = 0;  // where the last call that needs parameters is in `calls_`
    for (Call& call : std::exchange(p_.calls, {})) {
      if (auto gather = gather_for(call)) {
        calls_.insert(calls_.begin() + std::ptrdiff_t(last), std::move(*gather));
        last = calls_.size();
      }
      calls_.push_back(std::move(call));
    }
    p_.calls = std::move(calls_);
    for (auto& block : p_.blocks)
      for (Port& port : block.graph.inputs)
        if (gathered(block.graph, port)) port.kind = PortKind::activation;
  }

 private:
  void lay_flat() {
    for (Buffer& b : p_.buffers)
      if (b.kind == BufferKind::param && b.type.layout.flat.empty())
        b.type.layout.flat = zero_axes(3, b.type, p_.mesh);
  }

  bool gathered(const Graph& graph, const Port& port) const {
    const Type& type = graph.type(port.value);
    return port.kind == PortKind::param && type.layout.flat.empty() &&
           !zero_axes(3, type, p_.mesh).empty();
  }

  // The call that gathers what `call` needs, which reads from its results from now on.
  std::optional<Call> gather_for(Call& call) {
    const int block = gather_block(call.block);
    if (block < 0) return std::nullopt;
    Call gather{block, call.layer, call.microbatch, {Axis::dp}, {}, {}, {}};
    const Graph& graph = p_.blocks[std::size_t(call.block)].graph;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
      const Port& port = graph.inputs[i];
      if (!gathered(graph, port)) continue;
      gather.inputs.push_back(call.inputs[i]);
      const std::string& flat = p_.buffers[std::size_t(call.inputs[i])].name;
      call.inputs[i] = int(p_.buffers.size());
      gather.outputs.push_back(call.inputs[i]);
      p_.buffers.push_back(Buffer{fmt::format("whole.{}.{}", p_.buffers.size(), flat),
                                  BufferKind::activation, graph.type(port.value)});
    }
    return gather;
  }

  // -1: the block needs no parameter that lies flat.
  int gather_block(int of) {
    const auto [it, fresh] = blocks_.try_emplace(of, -1);
    if (!fresh) return it->second;
    const Graph& user = p_.blocks[std::size_t(of)].graph;
    Graph graph;
    graph.name = "gather." + user.name;
    if (!user.nodes.empty()) graph.phase = user.nodes.front().phase;
    for (const Port& port : user.inputs) {
      if (!gathered(user, port)) continue;
      Type flat = user.type(port.value);
      flat.layout.flat = zero_axes(3, flat, p_.mesh);
      const Value in = graph.add_input(port.name, PortKind::param, flat);
      graph.add_output(
          port.name, PortKind::activation,
          convert_layout(graph, in, user.type(port.value).layout, "parameter " + port.name));
    }
    if (graph.nodes.empty()) return -1;
    p_.blocks.push_back({std::move(graph), {}});
    return it->second = int(p_.blocks.size()) - 1;
  }

  Program& p_;
  std::vector<Call> calls_;
  std::map<int, int> blocks_;
};

}  // namespace

void gather_ahead(Program& program) { Gatherer(program).run(); }

}  // namespace autarky
