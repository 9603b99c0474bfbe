// A graph as text, and back.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/words.h"
#include "ir/graph.h"

namespace autarky {
namespace {

std::string list(std::span<const Value> values) {
  std::string text;
  for (Value v : values) text += fmt::format("{}%{}", text.empty() ? "" : ", ", v.id);
  return text;
}

// Reads one graph, line by line.
class GraphParser {
 public:
  GraphParser(std::string_view text, const FindOp& find) : lines_(split(text, '\n')), find_(find) {}

  Graph parse() {
    for (line_ = 0; line_ < lines_.size(); ++line_) {
      const auto text = trim(lines_[line_]);
      if (text.empty() || text == "}") continue;
      if (text.starts_with("graph ")) graph_.name = trim(text.substr(6, text.size() - 7));
      else if (text.starts_with("in ")) parse_input(text.substr(3));
      else if (text.starts_with("out ")) parse_output(text.substr(4));
      else parse_node(text);
    }
    verify(graph_);
    return std::move(graph_);
  }

 private:
  [[noreturn]] void bad(std::string_view why) const {
    throw InputError(fmt::format("cannot read the graph: {}", why))
        .at(fmt::format("line {}", line_ + 1))
        .found(fmt::format("'{}'", trim(lines_[line_])));
  }

  Value defined(std::string_view name) const {
    const auto it = ids_.find(std::string(trim(name)));
    if (it == ids_.end()) bad("a value is used that no line before defines");
    return it->second;
  }
  Value define(std::string_view name, Type type) {
    const Value v = graph_.new_value(std::move(type));
    if (!ids_.emplace(std::string(trim(name)), v).second) bad("a value is defined twice");
    return v;
  }

  // "kind name %3"; returns the value's text.
  std::string_view parse_port(std::string_view text, std::string& name, PortKind& kind) const {
    const auto a = text.find(' ');
    const auto b = a == text.npos ? a : text.find(' ', a + 1);
    if (b == text.npos) bad("a port needs kind, name and value");
    const auto* k =
        std::find(std::begin(kPortKindNames), std::end(kPortKindNames), text.substr(0, a));
    if (k == std::end(kPortKindNames)) bad("unknown kind of port");
    kind = static_cast<PortKind>(k - std::begin(kPortKindNames));
    name = text.substr(a + 1, b - a - 1);
    return text.substr(b + 1);
  }

  void parse_input(std::string_view text) {
    std::string name;
    PortKind kind;
    const auto value = parse_port(text, name, kind);
    const auto colon = value.find(": ");
    if (colon == value.npos) bad("an input needs a type");
    graph_.inputs.push_back(
        {name, kind, define(value.substr(0, colon), parse_type(value.substr(colon + 2)))});
  }

  void parse_output(std::string_view text) {
    std::string name;
    PortKind kind;
    const auto value = parse_port(text, name, kind);
    graph_.add_output(name, kind, defined(value));
  }

  // "%3: T, %4: T = op(%1, %2) {attrs} @forward source"
  void parse_node(std::string_view text) {
    Node node;
    const auto equals = text.find(" = "), open = text.find('(', equals == text.npos ? 0 : equals);
    const auto close = text.find(')', open == text.npos ? 0 : open);
    const auto brace = text.find(" {", close == text.npos ? 0 : close), at = text.rfind("} @");
    if (equals == text.npos || open == text.npos || close == text.npos || brace == text.npos ||
        at == text.npos || at < brace)
      bad("a node reads '%2: type = op(%0, %1) {attributes} @forward source'");
    node.op = find_(text.substr(equals + 3, open - equals - 3));
    if (node.op == nullptr) bad("unknown operation");
    for (const auto& name : split(text.substr(open + 1, close - open - 1), ','))
      if (!trim(name).empty()) node.in.push_back(defined(name));
    node.attrs = node.op->parse(text.substr(brace + 2, at - brace - 2));
    const auto tail = text.substr(at + 3);
    node.phase = tail.starts_with("backward") ? Phase::backward : Phase::forward;
    if (const auto space = tail.find(' '); space != tail.npos) node.source = tail.substr(space + 1);
    for (auto rest = text.substr(0, equals); !rest.empty();) {
      const auto end = std::min(rest.find(", %"), rest.size());
      const auto one = rest.substr(0, end);
      const auto colon = one.find(": ");
      if (colon == one.npos) bad("a result needs a type");
      node.out.push_back(define(one.substr(0, colon), parse_type(one.substr(colon + 2))));
      rest = end == rest.size() ? "" : rest.substr(end + 2);
    }
    graph_.nodes.push_back(std::move(node));
  }

  std::vector<std::string> lines_;
  const FindOp& find_;
  std::size_t line_ = 0;
  Graph graph_;
  std::map<std::string, Value> ids_;
};

}  // namespace

std::string print(const Graph& graph) {
  std::string text = fmt::format("graph {} {{\n", graph.name);
  for (const auto& p : graph.inputs)
    text += fmt::format("  in {} {} %{}: {}\n", kPortKindNames[std::size_t(p.kind)], p.name,
                        p.value.id, to_string(graph.type(p.value)));
  for (const auto& node : graph.nodes) {
    std::string results;
    for (Value v : node.out)
      results +=
          fmt::format("{}%{}: {}", results.empty() ? "" : ", ", v.id, to_string(graph.type(v)));
    text += fmt::format("  {} = {}({}) {{{}}} @{} {}\n", results, node.op->name, list(node.in),
                        node.op->print(node.attrs),
                        node.phase == Phase::forward ? "forward" : "backward", node.source);
  }
  for (const auto& p : graph.outputs)
    text +=
        fmt::format("  out {} {} %{}\n", kPortKindNames[std::size_t(p.kind)], p.name, p.value.id);
  return text + "}\n";
}

Graph parse_graph(std::string_view text, const FindOp& find) {
  return GraphParser(text, find).parse();
}

}  // namespace autarky
