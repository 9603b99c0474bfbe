#include "passes/step_blocks.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "ops/accumulate.h"
#include "ops/adamw.h"
#include "ops/exact_sum.h"
#include "ops/fill.h"
#include "ops/movement.h"
#include "passes/convert.h"

namespace autarky {
namespace {

// Nodes of these blocks work on parts as they lie: their results keep the layout of their input.
template <Operation Op>
std::vector<Value> in_layout(Graph& graph, typename Op::Attrs attrs, std::vector<Value> in,
                             std::size_t like) {
  const auto out = apply_all<Op>(graph, std::move(attrs), in);
  for (Value v : out) graph.type(v).layout = graph.type(in[like]).layout;
  return out;
}

}  // namespace

Graph without_accumulation(const Graph& backward) {
  Graph first = backward;
  first.name += ".first";
  for (auto& p : first.outputs) {
    if (p.kind != PortKind::grad) continue;
    const Node& node = first.nodes[std::size_t(first.producer(p.value))];
    const Value addend = node.in[1];
    AUTARKY_CHECK(node.op == &op_info<Accumulate>() && first.type(addend) == first.type(p.value),
                  p.name);
    p.value = addend;
  }
  remove_unused(first);
  std::erase_if(first.inputs, [&](const Port& p) {
    return p.kind == PortKind::grad &&
           std::none_of(first.nodes.begin(), first.nodes.end(), [&](const Node& n) {
             return std::find(n.in.begin(), n.in.end(), p.value) != n.in.end();
           });
  });
  return first;
}

Graph movement_block(const std::string& name, const Type& type, bool send, std::int64_t step) {
  Graph g;
  g.name = name;
  const Value x = g.add_input("x", PortKind::activation, type);
  const Value y = send ? apply<Send>(g, {step}, {x}) : apply<Receive>(g, {step}, {x});
  g.type(y).layout = type.layout;
  if (!send) g.add_output("x", PortKind::activation, y);
  return g;
}

void sum_losses(Graph& head) {
  const Value losses = head.find_output("loss")->value;
  std::erase_if(head.outputs, [](const Port& p) { return p.name == "loss"; });
  head.phase = Phase::forward;
  const Value digits =
      head.add_input("loss.digits", PortKind::scalar, Type(DType::i64, {{'z', Digits::kCount}}));
  const Value sum = apply<ExactSum>(head, {}, {losses});
  head.add_output("loss.digits", PortKind::scalar, apply<Accumulate>(head, {}, {digits, sum}));
}

Graph combine_block(const std::vector<ParamPort>& params) {
  Graph g;
  g.name = "combine";
  for (const auto& p : params) {
    const Value left = g.add_input("grad." + p.name, PortKind::grad, p.grad);
    const Value right = g.add_input("right." + p.name, PortKind::grad, p.grad);
    g.add_output("grad." + p.name, PortKind::grad,
                 in_layout<Accumulate>(g, {}, {left, right}, 0)[0]);
  }
  return g;
}

Graph reduce_block(const std::vector<ParamPort>& params) {
  Graph g;
  g.name = "reduce";
  for (const auto& p : params) {
    if (p.grad.layout == p.state.layout) continue;
    Value v = g.add_input("grad." + p.name, PortKind::grad, p.grad);
    // Ranks of dp go on with the tree of lanes; what else is partial is so in every lane.
    Layout lanes = p.grad.layout;
    lanes.flat = p.state.layout.flat;
    std::erase_if(lanes.partial, [](const Partial& part) { return part.axis == Axis::dp; });
    const std::string source = "gradient of " + p.name;
    v = convert_layout(g, v, lanes, source);
    g.add_output("reduced." + p.name, PortKind::grad, convert_layout(g, v, p.state.layout, source));
  }
  return g;
}

Graph tie_block(const Type& state) {
  Graph g;
  g.name = "tie";
  const Value to = g.add_input("grad.to", PortKind::grad, state);
  const Value from = g.add_input("grad.from", PortKind::grad, state);
  g.add_output("grad.to", PortKind::grad, in_layout<Accumulate>(g, {}, {to, from}, 0)[0]);
  return g;
}

std::string digits_port(const Type& state) {
  std::string name = "digits";
  for (const auto& p : digits_type(state, false).layout.partial)
    name += fmt::format(".{}", axis_name(p.axis));
  return name;
}

Type digits_type(const Type& state, bool pipelined) {
  Type digits(DType::i64, {{'z', Digits::kCount}});
  const auto add = [&](const std::vector<Axis>& axes) {
    for (Axis a : axes) digits.layout.add_partial({a, Combine::sum});
  };
  for (const auto& axes : state.layout.split) add(axes);
  add(state.layout.flat);
  if (pipelined) digits.layout.add_partial({Axis::pp, Combine::sum});
  return digits;
}

Graph norm_block(const std::vector<ParamPort>& params, bool pipelined) {
  Graph g;
  g.name = "norm";
  std::map<std::string, Value> sums;
  for (const auto& p : params) {
    const auto port = digits_port(p.state);
    const auto type = digits_type(p.state, pipelined);
    if (!sums.contains(port)) sums[port] = g.add_input(port, PortKind::scalar, type);
  }
  for (const auto& p : params) {
    const Value v = g.add_input("grad." + p.name, PortKind::grad, p.state);
    Value& sum = sums.at(digits_port(p.state));
    const Value squares = apply<ExactSum>(g, {true}, {v});
    g.type(squares).layout = g.type(sum).layout;
    sum = in_layout<Accumulate>(g, {}, {sum, squares}, 0)[0];
  }
  for (const auto& [port, v] : sums) g.add_output(port, PortKind::scalar, v);
  return g;
}

Graph finish_block(const std::vector<Port>& digits, const std::vector<Type>& types,
                   const Type& loss_digits, double max_norm, DType dtype) {
  Graph g;
  g.name = "finish";
  const Value loss = g.add_input("loss.digits", PortKind::scalar, loss_digits);
  const Value sum = g.add_input("loss.sum", PortKind::scalar, whole_type(loss_digits));
  const Value everywhere = convert_layout(g, loss, whole_type(loss_digits).layout, "loss");
  const Value losses = apply<Accumulate>(g, {}, {sum, everywhere});
  g.add_output("loss.sum", PortKind::scalar, losses);
  Value total{-1};
  for (std::size_t i = 0; i < digits.size(); ++i) {
    Value v = g.add_input(digits[i].name, PortKind::scalar, types[i]);
    v = convert_layout(g, v, whole_type(types[i]).layout, "gradient norm");
    total = total.id < 0 ? v : in_layout<Accumulate>(g, {}, {total, v}, 0)[0];
  }
  if (total.id < 0) return g;
  const Value hyper = g.add_input("hyper", PortKind::scalar, Type(dtype, {{'h', Hyper::kCount}}));
  g.add_output("clip", PortKind::scalar,
               apply<ClipScale>(g, {max_norm, dtype}, {total, losses, hyper}));
  return g;
}

Graph zero_block(const std::vector<std::pair<std::string, Type>>& values) {
  Graph g;
  g.name = "zero";
  for (const auto& [name, type] : values) {
    const Value v = g.add_input(name, PortKind::scalar, type);
    g.add_output(name, PortKind::scalar, in_layout<FillWith>(g, {}, {v}, 0)[0]);
  }
  return g;
}

Graph optimizer_block(const std::vector<ParamPort>& params, const OptimizerOptions& o) {
  Graph g;
  g.name = "optimizer";
  const DType dtype = params.front().grad.dtype;
  const Value hyper = g.add_input("hyper", PortKind::scalar, Type(dtype, {{'h', Hyper::kCount}}));
  const Value clip = g.add_input("clip", PortKind::scalar, Type(dtype, {{'y', 2}}));
  for (const auto& p : params) {
    const auto in = [&](const std::string& prefix, PortKind kind) {
      return g.add_input(prefix + p.name, kind, p.state);
    };
    const Value w = in("master.", PortKind::state), grad = in("grad.", PortKind::grad);
    const Value m = in("m.", PortKind::state), v = in("v.", PortKind::state);
    const AdamW::Attrs attrs{o.beta1, o.beta2, o.eps, p.decayed ? o.weight_decay : 0,
                             p.param.dtype};
    const auto out = in_layout<AdamW>(g, attrs, {w, grad, m, v, hyper, clip}, 0);
    g.add_output("master." + p.name, PortKind::state, out[0]);
    g.add_output("m." + p.name, PortKind::state, out[1]);
    g.add_output("v." + p.name, PortKind::state, out[2]);
    if (out.size() > 3 || p.param.layout != p.state.layout)
      g.add_output(p.name, PortKind::param,
                   convert_layout(g, out.size() > 3 ? out[3] : out[0], p.param.layout,
                                  "parameter " + p.name));
  }
  return g;
}

}  // namespace autarky
