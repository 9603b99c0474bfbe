// A graph as text, and back.
#include <fmt/core.h>

#include "ir/graph.h"
#include "ir/scanner.h"

namespace autarky {
namespace {

constexpr std::string_view kPhaseNames[] = {"forward", "backward"};

std::string list(std::span<const Value> values) {
  std::string text;
  for (Value v : values) text += fmt::format("{}%{}", text.empty() ? "" : ", ", v.id);
  return text;
}

class GraphParser {
 public:
  // Every value takes more letters to give than one: ids are below the text's length.
  GraphParser(std::string_view text, const FindOp& find, std::size_t first_line, const NoteOf& note)
      : most_(std::int64_t(text.size())),
        lines_(lines_of(text)),
        find_(find),
        first_line_(first_line),
        note_(note) {}

  Graph parse() {
    LineScanner head = line(0);
    head.expect("graph ");
    graph_.name = head.word("the graph's name");
    head.expect(" {");
    head.end();
    std::size_t i = 1;
    for (; i < lines_.size() && lines_[i] != "}"; ++i) parse_line(line(i));
    LineScanner last = line(i);
    last.expect("}");
    if (i + 1 < lines_.size()) line(i + 1).bad("the end of the graph");
    last.named([&] { verify(graph_); });
    return std::move(graph_);
  }

 private:
  LineScanner line(std::size_t i) const {
    return {i < lines_.size() ? lines_[i] : std::string_view(), first_line_ + i};
  }

  void parse_line(LineScanner s) {
    s.expect("  ");
    if (s.accept("in ")) return parse_input(s);
    if (s.accept("out ")) return parse_output(s);
    parse_node(s);
  }

  // "%3", given by this line or by one before.
  Value parse_value(LineScanner& s, bool gives) {
    s.expect("%");
    const Value v{int(s.number(0, most_))};
    const auto id = std::size_t(v.id);
    if (id >= given_.size()) given_.resize(id + 1), graph_.values.resize(id + 1);
    const auto found = fmt::format("%{}", id);
    if (given_[id] && gives) s.bad(found, "a value that no line before gives");
    if (!given_[id] && !gives) s.bad(found, "a value that a line before gives");
    given_[id] = true;
    return v;
  }
  Value give(LineScanner& s) {
    const Value v = parse_value(s, true);
    s.expect(": ");
    graph_.type(v) = s.type();
    return v;
  }

  Port parse_port(LineScanner& s) {
    Port port;
    port.kind = static_cast<PortKind>(s.choice(kPortKindNames));
    s.expect(" ");
    port.name = s.word("the port's name");
    s.expect(" ");
    return port;
  }
  void parse_input(LineScanner& s) {
    Port port = parse_port(s);
    port.value = give(s);
    s.end();
    graph_.inputs.push_back(std::move(port));
  }
  void parse_output(LineScanner& s) {
    Port port = parse_port(s);
    port.value = parse_value(s, false);
    s.end();
    graph_.outputs.push_back(std::move(port));
  }

  // "%3: T, %4: T = op(%1, %2) {attributes} @forward #5 source"
  void parse_node(LineScanner& s) {
    Node node;
    do node.out.push_back(give(s));
    while (s.accept(", "));
    s.expect(" = ");
    const auto name = s.word("an operation");
    node.op = find_(name);
    if (node.op == nullptr) s.bad(name, "an operation of the catalog");
    s.expect("(");
    if (!s.accept(")")) {
      do node.in.push_back(parse_value(s, false));
      while (s.accept(", "));
      s.expect(")");
    }
    for (Value in : node.in)
      for (Value out : node.out)
        if (in == out) s.bad(fmt::format("%{}", in.id), "a value that a line before gives");
    node.attrs = parse_attrs(s, *node.op);
    node.phase = static_cast<Phase>(s.choice(kPhaseNames));
    if (s.accept(" #")) node.number = int(s.number(0, 1 << 30));
    s.expect(s.named([&] { return note_(graph_, node); }));
    if (s.accept(" ")) node.source = s.all();
    s.end();
    s.named([&] { verify(graph_, node); });
    graph_.nodes.push_back(std::move(node));
  }

  std::any parse_attrs(LineScanner& s, const OpInfo& op) {
    s.expect(" {");
    const auto left = s.left();
    std::size_t size = 0;
    for (bool quoted = false; size < left.size() && (quoted || left[size] != '}'); ++size)
      if (left[size] == '"') quoted = !quoted;
    const auto text = left.substr(0, size);
    std::any attrs = s.named([&] { return op.parse(text); });
    if (const auto as_printed = op.print(attrs); as_printed != text)
      s.bad(text, fmt::format("'{}'", as_printed));
    s.expect(text);
    s.expect("} @");
    return attrs;
  }

  std::int64_t most_;
  std::vector<std::string_view> lines_;
  const FindOp& find_;
  std::size_t first_line_;
  const NoteOf& note_;
  Graph graph_;
  std::vector<bool> given_;
};

}  // namespace

std::string print(const Graph& graph, const NoteOf& note) {
  std::string text = fmt::format("graph {} {{\n", graph.name);
  for (const auto& p : graph.inputs)
    text += fmt::format("  in {} {} %{}: {}\n", kPortKindNames[std::size_t(p.kind)], p.name,
                        p.value.id, to_string(graph.type(p.value)));
  for (const auto& node : graph.nodes) {
    std::string results;
    for (Value v : node.out)
      results +=
          fmt::format("{}%{}: {}", results.empty() ? "" : ", ", v.id, to_string(graph.type(v)));
    text += fmt::format("  {} = {}({}) {{{}}} @{}{}{}{}{}\n", results, node.op->name, list(node.in),
                        node.op->print(node.attrs), kPhaseNames[std::size_t(node.phase)],
                        node.number < 0 ? "" : fmt::format(" #{}", node.number), note(graph, node),
                        node.source.empty() ? "" : " ", node.source);
  }
  for (const auto& p : graph.outputs)
    text +=
        fmt::format("  out {} {} %{}\n", kPortKindNames[std::size_t(p.kind)], p.name, p.value.id);
  return text + "}\n";
}

Graph parse_graph(std::string_view text, const FindOp& find, std::size_t first_line,
                  const NoteOf& note) {
  return GraphParser(text, find, first_line, note).parse();
}

}  // namespace autarky
