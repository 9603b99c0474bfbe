#include "passes/recompute.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"

namespace autarky {

namespace {
constexpr std::string_view kNames[] = {"none", "selective", "full"};

// An operation that does more than this many FLOPs per byte is not worth doing twice.
constexpr double kCheapFlopsPerByte = 8;

class Cutter {
 public:
  Cutter(const Graph& joint, Recompute policy) : joint_(joint), policy_(policy) {
    for (std::size_t i = 0; i < joint.nodes.size(); ++i)
      for (Value v : joint.nodes[i].out) producer_[v.id] = i;
    for (const auto& p : joint.inputs) is_input_.insert(p.value.id);
  }

  ForwardBackward run() {
    choose();
    ForwardBackward result;
    result.forward = build(joint_.name + ".F", Phase::forward);
    result.backward = build(joint_.name + ".B", Phase::backward);
    return result;
  }

 private:
  bool is_forward(int value) const {
    const auto it = producer_.find(value);
    return it != producer_.end() && joint_.nodes[it->second].phase == Phase::forward;
  }

  bool is_cheap(const Node& node) const {
    std::vector<Type> in, out;
    for (Value v : node.in) in.push_back(whole_type(joint_.type(v)));
    for (Value v : node.out) out.push_back(whole_type(joint_.type(v)));
    const Cost cost = node.op->cost(node.attrs, in, out);
    return node.op->movement == Movement::none && cost.flops <= kCheapFlopsPerByte * cost.bytes;
  }

  // Every forward value that a backward node uses is kept, or made again from available ones.
  void choose() {
    std::vector<int> used;
    for (const auto& node : joint_.nodes)
      if (node.phase == Phase::backward)
        for (Value v : node.in)
          if (is_forward(v.id)) used.push_back(v.id);
    for (int v : used)
      if (policy_ == Recompute::none ||
          (policy_ == Recompute::selective && !is_cheap(joint_.nodes[producer_.at(v)])))
        kept_.insert(v);
    for (int v : used)
      if (policy_ == Recompute::full) need_again(v);
      else if (!kept_.contains(v) && !available(v)) kept_.insert(v);
    for (int v : used)
      if (!kept_.contains(v)) need_again(v);
  }

  // Can be made from kept values and inputs by cheap operations alone.
  bool available(int v) const {
    if (is_input_.contains(v) || kept_.contains(v)) return true;
    if (!is_forward(v)) return false;
    const Node& node = joint_.nodes[producer_.at(v)];
    return is_cheap(node) &&
           std::all_of(node.in.begin(), node.in.end(), [&](Value i) { return available(i.id); });
  }

  void need_again(int v) {
    if (!is_forward(v) || kept_.contains(v) || !again_.insert(producer_.at(v)).second) return;
    for (Value i : joint_.nodes[producer_.at(v)].in) need_again(i.id);
  }

  bool in_part(std::size_t node, Phase phase) const {
    return joint_.nodes[node].phase == phase || (phase == Phase::backward && again_.contains(node));
  }

  Graph build(std::string name, Phase phase) const {
    Graph part;
    part.name = std::move(name);
    std::map<int, Value> mapped;
    const auto get = [&](Value v) {
      if (const auto it = mapped.find(v.id); it != mapped.end()) return it->second;
      const Port* port = joint_.input_of(v);
      return mapped[v.id] = port
                                ? part.add_input(port->name, port->kind, joint_.type(v))
                                : part.add_input(saved_name(v.id), PortKind::saved, joint_.type(v));
    };
    for (std::size_t i = 0; i < joint_.nodes.size(); ++i) {
      if (!in_part(i, phase)) continue;
      Node node = joint_.nodes[i];
      for (Value& v : node.in) v = get(v);
      for (Value& v : node.out) {
        const Value fresh = part.new_value(joint_.type(v));
        mapped[v.id] = fresh;
        v = fresh;
      }
      part.nodes.push_back(std::move(node));
    }
    for (const auto& p : joint_.outputs)
      if (is_forward(p.value.id) == (phase == Phase::forward))
        part.add_output(p.name, p.kind, get(p.value));
    if (phase == Phase::forward)
      for (int v : kept_) part.add_output(saved_name(v), PortKind::saved, get({v}));
    remove_unused(part);
    return part;
  }

  static std::string saved_name(int v) { return fmt::format("saved.{}", v); }

  const Graph& joint_;
  Recompute policy_;
  std::map<int, std::size_t> producer_;
  std::set<int> is_input_, kept_;
  std::set<std::size_t> again_;
};

}  // namespace

std::optional<Recompute> parse_recompute(std::string_view name) {
  const auto* it = std::find(std::begin(kNames), std::end(kNames), name);
  if (it == std::end(kNames)) return std::nullopt;
  return static_cast<Recompute>(it - std::begin(kNames));
}
std::string_view recompute_name(Recompute r) { return kNames[static_cast<std::size_t>(r)]; }

ForwardBackward cut(const Graph& joint, Recompute policy) { return Cutter(joint, policy).run(); }

}  // namespace autarky
