// What an operation must say, in one file of this folder; catalog.h is the only list of them.
#pragma once
#include <any>
#include <concepts>
#include <source_location>
#include <vector>

#include "ir/graph.h"
#include "ops/fields.h"

namespace autarky {

// Sums, log-sum-exps and statistics of a value are kept in f32, of f64 values in f64.
constexpr DType accumulate_dtype(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

template <class Op>
concept Operation = requires(const typename Op::Attrs& a, Types in, const HostArgs& h) {
  { Op::name } -> std::convertible_to<std::string_view>;
  {Op::Attrs::fields()};
  { Op::rule(a, in) } -> std::same_as<DimRule>;        // shapes, sharding, FLOPs and bytes
  { Op::reference(a, h) } -> std::same_as<void>;       // slow, obvious, f64: the definition
  { Op::cases() } -> std::same_as<std::vector<Case>>;  // what the conformance suite runs
};
// Every operation says how it is differentiated, with other operations, or why it is not.
template <class Op>
concept Differentiable = requires(const typename Op::Attrs& a, GradContext& c) {
  { Op::grad(a, c) } -> std::same_as<std::vector<Grad>>;
};

// Applies an operation in a graph; remembers the caller's line.
template <Operation Op>
std::vector<Value> apply_all(Graph& graph, typename Op::Attrs attrs, std::vector<Value> in,
                             std::source_location where = std::source_location::current());
template <Operation Op>
Value apply(Graph& graph, typename Op::Attrs attrs, std::vector<Value> in,
            std::source_location where = std::source_location::current());

// ---- the erased form ------------------------------------------------------------------------
namespace erased {

template <Operation Op>
const typename Op::Attrs& attrs_of(const std::any& a) {
  return *std::any_cast<typename Op::Attrs>(&a);
}

template <Operation Op>
std::vector<DType> out_dtypes(const std::any& a, Types in) {
  if constexpr (requires { Op::out_dtypes(attrs_of<Op>(a), in); })
    return Op::out_dtypes(attrs_of<Op>(a), in);
  else return std::vector<DType>(Op::rule(attrs_of<Op>(a), in).out.size(), in[0].dtype);
}

// Groups of inputs the operation is linear in; in a group of several, jointly.
template <Operation Op>
std::vector<std::vector<int>> linear(const std::any& a, std::size_t inputs) {
  if constexpr (requires { Op::linear(attrs_of<Op>(a), inputs); })
    return Op::linear(attrs_of<Op>(a), inputs);
  else return {};
}

// Per output the input whose memory it takes (-1: its own). Empty: every output its own.
template <Operation Op>
std::vector<int> aliases(const std::any& a, std::size_t inputs) {
  if constexpr (requires { Op::aliases(attrs_of<Op>(a), inputs); })
    return Op::aliases(attrs_of<Op>(a), inputs);
  else return {};
}

// The attributes of the form that adds `output` into one more input, its accumulator, if there is.
template <Operation Op>
std::optional<std::any> accumulating(const std::any& a, int output) {
  if constexpr (requires { Op::accumulating(attrs_of<Op>(a), output); }) {
    const std::optional<typename Op::Attrs> result = Op::accumulating(attrs_of<Op>(a), output);
    return result ? std::optional<std::any>(*result) : std::nullopt;
  } else {
    return std::nullopt;
  }
}

template <Operation Op>
Grads grad(const std::any& a, GradContext& c) {
  if constexpr (Differentiable<Op>) return Op::grad(attrs_of<Op>(a), c);
  else return NotDifferentiable{Op::not_differentiable};
}

template <Operation Op>
Cost cost(const std::any& a, Types in, Types out) {
  if constexpr (requires { Op::cost(attrs_of<Op>(a), in, out); })
    return Op::cost(attrs_of<Op>(a), in, out);
  else return derived_cost(Op::rule(attrs_of<Op>(a), in), in, out);
}

template <Operation Op>
constexpr Movement movement() {
  if constexpr (requires { Op::movement; }) return Op::movement;
  return Movement::none;
}

}  // namespace erased

template <Operation Op>
const OpInfo& op_info() {
  static const OpInfo info{
      Op::name,
      [](const std::any& a, Types in) { return Op::rule(erased::attrs_of<Op>(a), in); },
      erased::out_dtypes<Op>,
      erased::linear<Op>,
      erased::aliases<Op>,
      erased::accumulating<Op>,
      erased::grad<Op>,
      [](const std::any& a, const HostArgs& h) { Op::reference(erased::attrs_of<Op>(a), h); },
      erased::cost<Op>,
      Op::cases,
      [](const std::any& a) { return print_attrs(erased::attrs_of<Op>(a)); },
      [](std::string_view text) { return std::any(parse_attrs<typename Op::Attrs>(text)); },
      erased::movement<Op>()};
  return info;
}

template <Operation Op>
std::vector<Value> apply_all(Graph& graph, typename Op::Attrs attrs, std::vector<Value> in,
                             std::source_location where) {
  return graph.add(op_info<Op>(), std::any(std::move(attrs)), in, source_name(where));
}
template <Operation Op>
Value apply(Graph& graph, typename Op::Attrs attrs, std::vector<Value> in,
            std::source_location where) {
  return apply_all<Op>(graph, std::move(attrs), std::move(in), where).front();
}

}  // namespace autarky
