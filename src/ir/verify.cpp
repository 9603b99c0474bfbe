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

[[noreturn]] void broken(const Graph& graph, std::string_view why) {
  throw Error(fmt::format("the graph is broken: {}", why)).at("block " + graph.name);
}

void verify_names(const Graph& graph) {
  if (!is_word(graph.name)) broken(graph, "its name is not a word");
  for (const auto* ports : {&graph.inputs, &graph.outputs}) {
    std::set<std::string_view> names;
    for (const auto& p : *ports) {
      if (!is_word(p.name)) broken(graph, fmt::format("port name '{}' is not a word", p.name));
      if (!names.insert(p.name).second) broken(graph, fmt::format("two ports '{}'", p.name));
    }
  }
}

}  // namespace

bool is_word(std::string_view name) {
  return !name.empty() && name.find_first_of(" \t\r\n(),;:") == name.npos;
}

void verify(const Graph& graph, const Node& node) {
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

void verify(const Graph& graph) {
  verify_names(graph);
  std::set<int> given;
  for (const auto& p : graph.inputs)
    if (!given.insert(p.value.id).second)
      broken(graph, fmt::format("input {} gives %{} again", p.name, p.value.id));
  for (const auto& node : graph.nodes) {
    for (Value v : node.in)
      if (!given.contains(v.id))
        broken(graph, node, fmt::format("%{} is used before it is made", v.id));
    for (Value v : node.out)
      if (!given.insert(v.id).second) broken(graph, node, fmt::format("%{} is made twice", v.id));
    verify(graph, node);
  }
  for (const auto& p : graph.outputs)
    if (!given.contains(p.value.id)) broken(graph, fmt::format("output {} is never made", p.name));
  for (int v = 0; v < int(graph.values.size()); ++v)
    if (!given.contains(v)) broken(graph, fmt::format("no port and no node gives %{}", v));
}

}  // namespace autarky
