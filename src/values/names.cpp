#include "values/names.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "ops/movement.h"

namespace autarky {
namespace {

// "layer.B.first" is part "B" of "layer".
struct BlockName {
  std::string of, part;
};
BlockName parse(const std::string& name) {
  for (const std::string_view part : {"F", "B", "W", "FB"})
    for (const std::string& end : {fmt::format(".{}", part), fmt::format(".{}.first", part)})
      if (name.ends_with(end)) return {name.substr(0, name.size() - end.size()), std::string(part)};
  return {name, ""};
}

class Namer {
 public:
  Namer(const Program& program, const Coordinates& at)
      : p_(program), at_(at), ranks_(program.mesh.size(Axis::dp)) {
    for (const Call& c : p_.calls) {
      microbatches_ = std::max(microbatches_, c.microbatch + 1);
      if (c.microbatch >= 0 && graph_of(c).name.ends_with(".first")) opens_.insert(c.microbatch);
    }
  }

  std::vector<NamedValue> run() {
    for (std::size_t c = 0; c < p_.calls.size(); ++c) name_call(int(c));
    return std::move(values_);
  }

 private:
  const Graph& graph_of(const Call& c) const { return p_.blocks[std::size_t(c.block)].graph; }

  void name_call(int index) {
    const Call& call = p_.calls[std::size_t(index)];
    const Graph& graph = graph_of(call);
    if (graph.name.starts_with("combine")) return;
    std::map<int, ValueName> names;  // by value
    std::set<int> together;          // that are sums over the ranks of dp
    for (const Port& port : graph.inputs)
      if (port.kind != PortKind::scalar && port.kind != PortKind::saved)
        names[port.value.id] = in_call(call, port.name, 0);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      for (std::size_t o = 0; o < node.out.size(); ++o) {
        const Value v = node.out[o];
        const auto sources = sources_of(node, o);
        const bool summed =
            adds_ranks(node) || std::any_of(sources.begin(), sources.end(),
                                            [&](Value in) { return together.contains(in.id); });
        if (summed) together.insert(v.id);
        const auto name = name_of(call, graph, node, int(o), names);
        if (!name) continue;
        names[v.id] = *name;
        add(summed, {*name, index, int(n), int(o), order_of(call), graph.type(v), node.source});
      }
    }
  }

  // What a result is made of: a movement's of its own input.
  static std::span<const Value> sources_of(const Node& node, std::size_t o) {
    const std::span<const Value> in = node.in;
    return node.op->movement == Movement::collective ? in.subspan(o, 1) : in;
  }

  std::optional<ValueName> name_of(const Call& call, const Graph& graph, const Node& node, int o,
                                   const std::map<int, ValueName>& names) const {
    if (node.op->movement == Movement::collective) {
      const auto it = names.find(node.in[std::size_t(o)].id);
      return it == names.end() ? std::nullopt : std::optional(it->second);
    }
    if (node.op->movement != Movement::none) return std::nullopt;
    const Value v = node.out[std::size_t(o)];
    const auto port = std::find_if(graph.outputs.begin(), graph.outputs.end(),
                                   [&](const Port& p) { return p.value == v; });
    const bool given = port != graph.outputs.end();
    if (node.number >= 0) {
      ValueName name = in_call(call, fmt::format("{} #{}", node.op->name, node.number), o);
      if (given && port->kind == PortKind::grad) name.since = opened_by(call.microbatch);
      if (given && port->kind == PortKind::scalar) name.since = 0;
      return name;
    }
    if (given && port->kind != PortKind::scalar) return in_call(call, port->name, 0);
    const Port* only = node.in.size() == 1 ? graph.input_of(node.in[0]) : nullptr;
    if (given || !only) return std::nullopt;
    return in_call(call, fmt::format("{} of {}", node.op->name, only->name), o);
  }

  ValueName in_call(const Call& call, std::string operation, int output) const {
    return {parse(graph_of(call).name).of, scope_layer(call), std::move(operation), output,
            call.microbatch};
  }

  // Calls that come once per step do not say whose parameters they work on; their buffers do.
  int scope_layer(const Call& call) const {
    if (call.layer >= 0) return call.layer;
    for (const auto* buffers : {&call.outputs, &call.inputs})
      for (int b : *buffers) {
        const std::string& name = p_.buffers[std::size_t(b)].name;
        const auto at = name.find("layer.");
        if (at != name.npos && (at == 0 || name[at - 1] == '.'))
          return std::atoi(name.c_str() + at + 6);
      }
    return -1;
  }

  int opened_by(int microbatch) const {
    const auto it = opens_.upper_bound(microbatch);
    return it == opens_.begin() ? 0 : *std::prev(it);
  }

  int order_of(const Call& call) const {
    constexpr int kBack = 1 << 20;  // above the number of any layer
    const auto [of, part] = parse(graph_of(call).name);
    const int depth = of == "embed" ? 0 : of == "head" ? kBack - 1 : scope_layer(call) + 1;
    if (part == "F" || part == "FB") return depth;
    return (part == "W" ? 3 : 2) * kBack - depth;
  }

  // Each rank of dp has another micro-batch: this makes one value of them.
  static bool adds_ranks(const Node& node) {
    return queue_of(node).axis == Axis::dp &&
           (node.op == &op_info<AllReduce>() || node.op == &op_info<ReduceScatter>());
  }

  // Along dp the ranks have other micro-batches, not other parts, unless these were added.
  void add(bool together, NamedValue value) {
    if (value.name.microbatch >= 0 && ranks_ > 1) {
      if (together) value.name.together = ranks_;
      else count_microbatches(value);
    }
    values_.push_back(std::move(value));
  }

  void count_microbatches(NamedValue& value) const {
    Layout& layout = value.type.layout;
    for (std::size_t d = 0; d < layout.split.size(); ++d)
      if (std::erase(layout.split[d], Axis::dp)) value.type.dims[d].extent /= ranks_;
    std::erase_if(layout.partial, [](const Partial& p) { return p.axis == Axis::dp; });
    const int first = at_[std::size_t(Axis::dp)] * microbatches_;
    value.name.microbatch += first;
    if (value.name.since >= 0) value.name.since += first;
  }

  const Program& p_;
  Coordinates at_;
  int ranks_, microbatches_ = 0;
  std::set<int> opens_;  // micro-batches that open a lane
  std::vector<NamedValue> values_;
};

}  // namespace

std::string to_string(const ValueName& n) {
  std::string text = n.block;
  if (n.layer >= 0) text += fmt::format(" {}", n.layer);
  if (n.microbatch >= 0) text += fmt::format(", micro-batch {}", n.microbatch);
  if (n.since >= 0 && n.since < n.microbatch) text += fmt::format(" (sum from {})", n.since);
  if (n.together > 1) text += fmt::format(" of each of {} ranks", n.together);
  text += fmt::format(", {}", n.operation);
  return n.output > 0 ? text + fmt::format(", result {}", n.output) : text;
}

std::vector<NamedValue> name_values(const Program& program, const Coordinates& at) {
  return Namer(program, at).run();
}

}  // namespace autarky
