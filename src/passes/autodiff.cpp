#include "passes/autodiff.h"

#include <fmt/core.h>

#include <map>
#include <optional>

#include "base/error.h"
#include "ops/accumulate.h"
#include "ops/add.h"

namespace autarky {
namespace {

class Differentiator {
 public:
  explicit Differentiator(const Graph& forward)
      : joint_(forward), forward_nodes_(forward.nodes.size()) {
    joint_.phase = Phase::backward;
  }

  Graph run() {
    for (const auto& y : std::vector<Port>(joint_.outputs))
      if (y.kind == PortKind::activation) seed(y);
    for (std::size_t i = forward_nodes_; i-- > 0;) differentiate_node(i);
    for (const auto& x : std::vector<Port>(joint_.inputs)) finish_input(x);
    return std::move(joint_);
  }

 private:
  void seed(const Port& y) {
    add_grad(y.value, joint_.add_input("d" + y.name, PortKind::activation, joint_.type(y.value)));
  }

  void add_grad(Value v, Value g) {
    auto& sum = grads_[v.id];
    sum = sum ? apply<Add>(joint_, {}, {*sum, g}) : g;
  }

  void differentiate_node(std::size_t index) {
    const Node node = joint_.nodes[index];
    std::vector<std::optional<Value>> dout;
    bool flows = false;
    for (Value v : node.out) {
      const auto it = grads_.find(v.id);
      dout.push_back(it == grads_.end() ? std::nullopt : it->second);
      flows |= dout.back().has_value();
    }
    if (!flows) return;
    const std::size_t first = joint_.nodes.size();
    GradContext context{joint_, node.in, node.out, dout};
    const Grads grads = node.op->grad(node.attrs, context);
    for (std::size_t i = first; i < joint_.nodes.size(); ++i) joint_.nodes[i].source = node.source;
    if (const auto* why = std::get_if<NotDifferentiable>(&grads))
      throw Error(fmt::format("{} has no gradient: {}", node.op->name, why->why)).at(node.source);
    const auto& list = std::get<std::vector<Grad>>(grads);
    for (std::size_t i = 0; i < list.size(); ++i)
      if (const auto* g = std::get_if<Value>(&list[i])) add_grad(node.in[i], *g);
  }

  void finish_input(const Port& x) {
    const auto it = grads_.find(x.value.id);
    if (it == grads_.end() || !it->second) return;
    if (x.kind == PortKind::activation)
      joint_.add_output("d" + x.name, PortKind::activation, *it->second);
    if (x.kind != PortKind::param) return;
    Type type = joint_.type(x.value);
    type.dtype = accumulate_dtype(type.dtype);
    const std::string port = "grad." + x.name;
    const Value accumulator = joint_.add_input(port, PortKind::grad, type);
    joint_.add_output(port, PortKind::grad,
                      apply<Accumulate>(joint_, {}, {accumulator, *it->second}));
  }

  Graph joint_;
  std::size_t forward_nodes_;
  std::map<int, std::optional<Value>> grads_;
};

}  // namespace

Graph differentiate(const Graph& forward) { return Differentiator(forward).run(); }

}  // namespace autarky
