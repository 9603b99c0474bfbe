#include "passes/partition.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "passes/convert.h"

namespace autarky {

ShardingRules default_rules(bool sequence_parallel) {
  ShardingRules rules = {{"hgfvx", Axis::tp}, {"hrfvx", Axis::tpr}};
  // What is split by g alone can be split by s once more; all of s is gathered over tp first.
  if (sequence_parallel) rules.insert(rules.end(), {{"s", Axis::tpr}, {"s", Axis::tp}});
  rules.push_back({"b", Axis::dp});
  rules.push_back({"s", Axis::cp});
  rules.push_back({"x", Axis::ep});
  return rules;
}

Mesh with_sub_axes(Mesh mesh, std::int64_t groups, std::int64_t queries) {
  const int ranks = mesh.size(Axis::tp) * mesh.size(Axis::tpr);
  const auto most_heads = [&](int outer) {
    const std::int64_t inner = ranks / outer;
    return (groups + outer - 1) / outer * ((queries + inner - 1) / inner);
  };
  int best = ranks;
  for (int outer = ranks; outer >= 1; --outer)
    if (ranks % outer == 0 && most_heads(outer) < most_heads(best)) best = outer;
  mesh.size(Axis::tp) = best;
  mesh.size(Axis::tpr) = ranks / best;
  return mesh;
}

namespace {

void check_divides(char letter, std::int64_t extent, std::int64_t ranks, Axis axis) {
  if (kPaddable.find(letter) != kPaddable.npos || extent % ranks == 0) return;
  std::int64_t below = ranks, above = ranks;
  while (extent % below != 0) --below;
  while (above < extent && extent % above != 0) ++above;
  throw InputError(fmt::format("dim '{}' of {} does not divide over {} ranks of axis {}", letter,
                               extent, ranks, axis_name(axis)))
      .hint(above < extent ? fmt::format("The nearest that do: {} and {}", below, above)
                           : fmt::format("The nearest that do: {}", below));
}

}  // namespace

Assignment assign(const DimRule& rule, const Extents& extents, const ShardingRules& rules,
                  const Mesh& mesh, std::span<const Partial> taken) {
  Assignment assigned;
  std::set<Axis> used;
  for (const auto& p : taken) used.insert(p.axis);
  for (const auto& r : rules) {
    if (mesh.size(r.axis) == 1 || used.contains(r.axis)) continue;
    for (char letter : rule.letters()) {
      if (r.dims.find(letter) == r.dims.npos || rule.is_whole(letter)) continue;
      auto& axes = assigned[letter];
      axes.push_back(r.axis);
      check_divides(letter, extents.at(letter), pieces(mesh, axes), r.axis);
      used.insert(r.axis);
      break;
    }
  }
  return assigned;
}

Layout border_layout(const Type& type, const ShardingRules& rules, const Mesh& mesh) {
  const DimRule rule = dim_rule(dim_names(type) + " -> " + dim_names(type));
  const Type whole = whole_type(type);
  return input_layout(rule, 0, assign(rule, bind_extents(rule, {&whole, 1}), rules, mesh));
}

namespace {

class Partitioner {
 public:
  Partitioner(const Graph& source, const ShardingRules& rules, const Mesh& mesh)
      : source_(source), rules_(rules), mesh_(mesh) {}

  Graph run() {
    result_.name = source_.name;
    for (const auto& p : source_.inputs) add_input(p);
    for (const auto& node : source_.nodes) add_node(node);
    for (const auto& p : source_.outputs) add_output(p);
    return std::move(result_);
  }

 private:
  static bool decided_by_use(PortKind kind) {
    return kind == PortKind::param || kind == PortKind::grad || kind == PortKind::state;
  }

  void add_input(const Port& p) {
    Type type = source_.type(p.value);
    const bool open = decided_by_use(p.kind);
    if (!open) type.layout = border_layout(type, rules_, mesh_);
    const Value v = result_.add_input(p.name, p.kind, type);
    mapped_[p.value.id] = v;
    if (open) undecided_.insert(v.id);
  }

  void add_output(const Port& p) {
    Value v = mapped_.at(p.value.id);
    if (p.kind == PortKind::activation) {
      result_.phase = p.name.starts_with("d") ? Phase::backward : Phase::forward;
      v = convert(v, border_layout(result_.type(v), rules_, mesh_), "border of " + source_.name);
    }
    result_.add_output(p.name, p.kind, v);
  }

  Value convert(Value v, const Layout& wanted, const std::string& why) {
    if (undecided_.erase(v.id)) result_.type(v).layout = wanted;
    if (result_.type(v).layout == wanted) return v;
    const auto key = std::make_pair(v.id, to_string(wanted, result_.type(v).dims) +
                                              (result_.phase == Phase::forward ? "F" : "B"));
    const auto it = converted_.find(key);
    if (it != converted_.end()) return it->second;
    return converted_[key] = convert_layout(result_, v, wanted, why);
  }

  // Partials that may stay as they are: those of a group of inputs the operation is jointly linear
  // in, where every input of the group has them (or is an accumulator whose layout is still open).
  std::vector<Partial> kept_partials(const Node& node, std::span<const Value> in,
                                     std::vector<bool>& keeps) const {
    std::vector<Partial> kept;
    for (const auto& group : node.op->linear(node.attrs, in.size())) {
      if (group.size() < 2) continue;
      std::optional<std::vector<Partial>> common;
      for (int i : group) {
        if (undecided_.contains(in[std::size_t(i)].id)) continue;
        const auto& partial = result_.type(in[std::size_t(i)]).layout.partial;
        if (!common) common = partial;
        if (*common != partial) return {};
      }
      if (!common || common->empty()) continue;
      kept = *common;
      for (int i : group) keeps[std::size_t(i)] = true;
    }
    return kept;
  }

  void add_node(const Node& node) {
    result_.phase = node.phase;
    std::vector<Value> in;
    std::vector<Type> types;
    for (Value v : node.in) {
      in.push_back(mapped_.at(v.id));
      types.push_back(whole_type(source_.type(v)));
    }
    const DimRule rule = node.op->rule(node.attrs, types);
    std::vector<bool> keeps(in.size());
    const auto kept = kept_partials(node, in, keeps);
    Assignment assigned;
    try {
      assigned = assign(rule, bind_extents(rule, types), rules_, mesh_, kept);
    } catch (Error& e) {
      e.at(fmt::format("[{}] {}", node.op->name, node.source));
      throw;
    }
    for (std::size_t i = 0; i < in.size(); ++i) {
      Layout wanted = input_layout(rule, i, assigned);
      if (keeps[i]) wanted.partial = kept;
      in[i] = convert(in[i], wanted, node.source);
    }
    const auto out = result_.add(*node.op, node.attrs, in, node.source);
    result_.nodes.back().number = node.number;
    for (std::size_t i = 0; i < out.size(); ++i) {
      Layout layout = output_layout(rule, i, assigned);
      for (const auto& p : kept) layout.add_partial(p);
      result_.type(out[i]).layout = layout;
      mapped_[node.out[i].id] = out[i];
    }
  }

  const Graph& source_;
  const ShardingRules& rules_;
  const Mesh& mesh_;
  Graph result_;
  std::map<int, Value> mapped_;
  std::set<int> undecided_;
  std::map<std::pair<int, std::string>, Value> converted_;
};

}  // namespace

Graph partition(const Graph& graph, const ShardingRules& rules, const Mesh& mesh) {
  return Partitioner(graph, rules, mesh).run();
}

}  // namespace autarky
