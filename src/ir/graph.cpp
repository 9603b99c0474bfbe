#include "ir/graph.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "base/error.h"

namespace autarky {

Value Graph::new_value(Type t) {
  values.push_back(std::move(t));
  return {int(values.size()) - 1};
}

Value Graph::add_input(std::string port, PortKind kind, Type t) {
  const Value v = new_value(std::move(t));
  inputs.push_back({std::move(port), kind, v});
  return v;
}

void Graph::add_output(std::string port, PortKind kind, Value v) {
  outputs.push_back({std::move(port), kind, v});
}

std::vector<Value> Graph::add(const OpInfo& op, std::any attrs, std::span<const Value> in,
                              std::string source) {
  std::vector<Type> in_types;
  for (Value v : in) in_types.push_back(whole_type(type(v)));
  Node node{&op, std::move(attrs), {in.begin(), in.end()}, {}, phase, std::move(source)};
  try {
    for (auto& t : output_types(op, node.attrs, in_types))
      node.out.push_back(new_value(std::move(t)));
  } catch (Error& e) {
    e.at(fmt::format("[{}] {}", op.name, node.source));
    throw;
  }
  nodes.push_back(node);
  return node.out;
}

const Port* Graph::find_input(std::string_view port) const {
  for (const auto& p : inputs)
    if (p.name == port) return &p;
  return nullptr;
}

const Port* Graph::find_output(std::string_view port) const {
  for (const auto& p : outputs)
    if (p.name == port) return &p;
  return nullptr;
}

const Port* Graph::input_of(Value v) const {
  for (const auto& p : inputs)
    if (p.value == v) return &p;
  return nullptr;
}

int Graph::producer(Value v) const {
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (Value o : nodes[i].out)
      if (o == v) return int(i);
  return -1;
}

std::string source_name(const std::source_location& where) {
  std::string_view file = where.file_name();
  if (const auto slash = file.rfind('/'); slash != std::string_view::npos)
    file.remove_prefix(slash + 1);
  return fmt::format("{}:{}", file, where.line());
}

namespace {

void renumber(Graph& graph) {
  std::vector<Type> values;
  std::vector<int> id(graph.values.size(), -1);
  const auto give = [&](Value& v) {
    id[std::size_t(v.id)] = int(values.size());
    values.push_back(std::move(graph.type(v)));
    v.id = id[std::size_t(v.id)];
  };
  const auto use = [&](Value& v) { v.id = id[std::size_t(v.id)]; };
  for (auto& p : graph.inputs) give(p.value);
  for (auto& node : graph.nodes) {
    for (Value& v : node.in) use(v);
    for (Value& v : node.out) give(v);
  }
  for (auto& p : graph.outputs) use(p.value);
  graph.values = std::move(values);
}

}  // namespace

void remove_unused(Graph& graph) {
  std::vector<bool> needed(graph.values.size());
  for (const auto& p : graph.outputs) needed[std::size_t(p.value.id)] = true;
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool moves = node->op->movement == Movement::send;
    if (!moves && std::none_of(node->out.begin(), node->out.end(),
                               [&](Value v) { return needed[std::size_t(v.id)]; }))
      continue;
    for (Value v : node->in) needed[std::size_t(v.id)] = true;
    kept.push_back(std::move(*node));
  }
  graph.nodes.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  renumber(graph);
}

}  // namespace autarky
