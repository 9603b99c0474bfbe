#include <fmt/core.h>

#include <set>

#include "base/error.h"
#include "ir/graph.h"

namespace autarky {
namespace {

[[noreturn]] void broken(const Graph& graph, const Node& node, std::string_view why) {
  throw Error(fmt::format("the graph is broken: {}", why))
      .at(fmt::format("block {}, {} ({})", graph.name, node.op->name, node.source));
}

void verify_types(const Graph& graph, const Node& node) {
  std::vector<Type> in;
  for (Value v : node.in) in.push_back(whole_type(graph.type(v)));
  const auto out = output_types(*node.op, node.attrs, in);
  if (out.size() != node.out.size()) broken(graph, node, "wrong number of results");
  for (std::size_t i = 0; i < out.size(); ++i)
    if (whole_type(graph.type(node.out[i])) != out[i])
      broken(graph, node,
             fmt::format("result {} is {}, but the rule says {}", i,
                         to_string(graph.type(node.out[i])), to_string(out[i])));
}

}  // namespace

void verify(const Graph& graph) {
  std::set<int> defined;
  for (const auto& p : graph.inputs)
    if (!defined.insert(p.value.id).second)
      throw Error(fmt::format("block {}: two inputs give one value", graph.name));
  for (const auto& node : graph.nodes) {
    for (Value v : node.in)
      if (!defined.contains(v.id))
        broken(graph, node, fmt::format("%{} is used before it is made", v.id));
    for (Value v : node.out)
      if (!defined.insert(v.id).second) broken(graph, node, fmt::format("%{} is made twice", v.id));
    verify_types(graph, node);
  }
  for (const auto& p : graph.outputs)
    if (!defined.contains(p.value.id))
      throw Error(fmt::format("block {}: output {} is never made", graph.name, p.name));
}

}  // namespace autarky
