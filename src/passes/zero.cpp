#include "passes/zero.h"

#include <algorithm>
#include <map>
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

void gather_parameters(Graph& block, const Mesh& mesh) {
  auto nodes = take_nodes(block);
  std::map<int, Value> gathered;
  if (!nodes.empty()) block.phase = nodes.front().phase;
  for (Port& port : block.inputs) {
    if (port.kind != PortKind::param) continue;
    const Type whole = block.type(port.value);
    Type flat = whole;
    flat.layout.flat = zero_axes(3, whole, mesh);
    if (flat == whole) continue;
    const Value in = block.new_value(flat);
    gathered[port.value.id] = convert_layout(block, in, whole.layout, "parameter " + port.name);
    port.value = in;
  }
  for (Node& node : nodes) {
    for (Value& v : node.in)
      if (const auto it = gathered.find(v.id); it != gathered.end()) v = it->second;
    block.nodes.push_back(std::move(node));
  }
  remove_unused(block);
}

}  // namespace autarky
