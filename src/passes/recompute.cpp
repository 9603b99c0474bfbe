#include "passes/recompute.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "ops/accumulate.h"

namespace autarky {

namespace {
constexpr std::string_view kNames[] = {"none", "selective", "full"};

// An operation that does more than this many FLOPs per byte is not worth doing twice.
constexpr double kCheapFlopsPerByte = 8;

enum Part : std::size_t { kForward, kBackward, kWeights, kParts };

// The part of every node.
std::vector<Part> parts_of(const Graph& joint, bool split_weights) {
  std::vector<Part> parts;
  for (const auto& node : joint.nodes)
    parts.push_back(node.phase == Phase::forward ? kForward : kBackward);
  if (!split_weights) return parts;
  std::set<int> needed;  // for what is no gradient of a parameter
  for (const auto& p : joint.outputs)
    if (p.kind != PortKind::grad) needed.insert(p.value.id);
  const auto is_needed = [&](Value v) { return needed.contains(v.id); };
  for (std::size_t i = joint.nodes.size(); i-- > 0;) {
    const Node& node = joint.nodes[i];
    if (parts[i] == kForward) continue;
    if (std::none_of(node.out.begin(), node.out.end(), is_needed)) parts[i] = kWeights;
    else
      for (Value v : node.in) needed.insert(v.id);
  }
  // An addition stays with the node whose result it adds: they may become one.
  for (std::size_t i = 0; i < joint.nodes.size(); ++i)
    if (parts[i] == kWeights && joint.nodes[i].op == &op_info<Accumulate>())
      if (const int made = joint.producer(joint.nodes[i].in[1]); made >= 0)
        parts[i] = parts[std::size_t(made)];
  return parts;
}

class Cutter {
 public:
  Cutter(const Graph& joint, Recompute policy, bool split_weights)
      : joint_(joint), policy_(policy), parts_(parts_of(joint, split_weights)) {
    for (std::size_t i = 0; i < joint.nodes.size(); ++i)
      for (Value v : joint.nodes[i].out) producer_[v.id] = i;
    for (const auto& p : joint.inputs) is_input_.insert(p.value.id);
  }

  CutBlock run() {
    choose();
    return {build(joint_.name + ".F", kForward), build(joint_.name + ".B", kBackward),
            build(joint_.name + ".W", kWeights)};
  }

 private:
  // Inputs count as the backward's.
  Part part_of(int value) const {
    const auto it = producer_.find(value);
    return it == producer_.end() ? kBackward : parts_[it->second];
  }
  bool is_forward(int value) const { return part_of(value) == kForward; }

  bool is_cheap(const Node& node) const {
    std::vector<Type> in, out;
    for (Value v : node.in) in.push_back(whole_type(joint_.type(v)));
    for (Value v : node.out) out.push_back(whole_type(joint_.type(v)));
    const Cost cost = node.op->cost(node.attrs, in, out);
    return node.op->movement == Movement::none && cost.flops <= kCheapFlopsPerByte * cost.bytes;
  }
  bool is_cheap(int value) const { return is_cheap(joint_.nodes[producer_.at(value)]); }

  // The forward values that nodes of these parts read.
  std::vector<int> forward_values_read(std::initializer_list<Part> by) const {
    std::vector<int> values;
    for (std::size_t i = 0; i < joint_.nodes.size(); ++i)
      if (std::find(by.begin(), by.end(), parts_[i]) != by.end())
        for (Value v : joint_.nodes[i].in)
          if (is_forward(v.id)) values.push_back(v.id);
    return values;
  }

  // Every forward value that a later node uses is kept, or made again from available ones.
  void choose() {
    const auto used = forward_values_read({kBackward, kWeights});
    if (policy_ == Recompute::none) kept_.insert(used.begin(), used.end());
    if (policy_ == Recompute::selective) keep(used, kept_);
    for (int v : forward_values_read({kBackward})) need_again(kBackward, v);
    choose_for_weights();
  }

  // Keeps the values that are not cheap, and those that cannot be had from available ones.
  void keep(const std::vector<int>& used, std::set<int>& kept) const {
    for (int v : used)
      if (!is_available(v) && !is_cheap(v)) kept.insert(v);
    for (int v : used)
      if (!is_available(v, true)) kept.insert(v);
  }

  // The backward keeps what it makes, and what the forward did not keep and is not cheap.
  void choose_for_weights() {
    const auto used = forward_values_read({kWeights});
    keep(used, kept_for_weights_);
    for (int v : std::set<int>(kept_for_weights_)) need_again(kBackward, v);
    for (int v : used) need_again(kWeights, v);
    for (std::size_t i = 0; i < joint_.nodes.size(); ++i)
      if (parts_[i] == kWeights)
        for (Value v : joint_.nodes[i].in)
          if (producer_.contains(v.id) && part_of(v.id) == kBackward)
            kept_for_weights_.insert(v.id);
  }

  bool is_kept(Value v) const { return kept_.contains(v.id) || kept_for_weights_.contains(v.id); }

  // Is there, or (`made`) can be made from what is there by cheap operations alone. A node of which
  // something is kept is not run again: then all of it is kept.
  bool is_available(int v, bool made = false) const {
    if (is_input_.contains(v) || is_kept({v})) return true;
    if (!made || !is_forward(v) || !is_cheap(v)) return false;
    const Node& node = joint_.nodes[producer_.at(v)];
    return std::none_of(node.out.begin(), node.out.end(), [&](Value o) { return is_kept(o); }) &&
           std::all_of(node.in.begin(), node.in.end(),
                       [&](Value i) { return is_available(i.id, true); });
  }

  void need_again(Part part, int v) {
    const bool there = part == kWeights && kept_for_weights_.contains(v);
    if (!is_forward(v) || kept_.contains(v) || there ||
        !again_[part].insert(producer_.at(v)).second)
      return;
    for (Value i : joint_.nodes[producer_.at(v)].in) need_again(part, i.id);
  }

  Graph build(std::string name, Part part) const {
    Graph graph;
    graph.name = std::move(name);
    std::map<int, Value> mapped;
    const auto get = [&](Value v) {
      if (const auto it = mapped.find(v.id); it != mapped.end()) return it->second;
      const Port* port = joint_.input_of(v);
      return mapped[v.id] =
                 port ? graph.add_input(port->name, port->kind, joint_.type(v))
                      : graph.add_input(saved_name(v.id), PortKind::saved, joint_.type(v));
    };
    for (std::size_t i = 0; i < joint_.nodes.size(); ++i) {
      if (parts_[i] != part && !again_[part].contains(i)) continue;
      Node node = joint_.nodes[i];
      for (Value& v : node.in) v = get(v);
      for (Value& v : node.out) {
        const Value fresh = graph.new_value(joint_.type(v));
        mapped[v.id] = fresh;
        v = fresh;
      }
      graph.nodes.push_back(std::move(node));
    }
    for (const auto& p : joint_.outputs)
      if (part_of(p.value.id) == part) graph.add_output(p.name, p.kind, get(p.value));
    if (part != kWeights)
      for (int v : part == kForward ? kept_ : kept_for_weights_)
        graph.add_output(saved_name(v), PortKind::saved, get({v}));
    remove_unused(graph);
    return graph;
  }

  static std::string saved_name(int v) { return fmt::format("saved.{}", v); }

  const Graph& joint_;
  Recompute policy_;
  std::vector<Part> parts_;  // by node
  std::map<int, std::size_t> producer_;
  std::set<int> is_input_, kept_, kept_for_weights_;
  std::set<std::size_t> again_[kParts];
};

}  // namespace

std::optional<Recompute> parse_recompute(std::string_view name) {
  const auto* it = std::find(std::begin(kNames), std::end(kNames), name);
  if (it == std::end(kNames)) return std::nullopt;
  return static_cast<Recompute>(it - std::begin(kNames));
}
std::string_view recompute_name(Recompute r) { return kNames[static_cast<std::size_t>(r)]; }

CutBlock cut(const Graph& joint, Recompute policy, bool split_weights) {
  return Cutter(joint, policy, split_weights).run();
}

}  // namespace autarky
