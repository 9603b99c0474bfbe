#include "ir/op_info.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "ir/graph.h"

namespace autarky {

DType GradContext::grad_dtype(std::size_t i) const {
  const DType t = graph.type(in[i]).dtype;
  const Port* port = graph.input_of(in[i]);
  const bool param = port != nullptr && port->kind == PortKind::param;
  return param && t != DType::f64 ? DType::f32 : t;
}

std::vector<Type> output_types(const OpInfo& op, const std::any& attrs, Types in) {
  if (in.empty()) throw InputError(fmt::format("{} has no inputs", op.name));
  const DimRule rule = op.rule(attrs, in);
  const Extents extents = bind_extents(rule, in);
  const auto dtypes = op.out_dtypes(attrs, in);
  if (dtypes.size() != rule.out.size())
    throw InputError(fmt::format("the rule of {} has a wrong number of results", op.name))
        .found(std::to_string(rule.out.size()))
        .wanted(std::to_string(dtypes.size()));
  std::vector<Type> out;
  for (std::size_t i = 0; i < rule.out.size(); ++i) {
    std::vector<Dim> dims;
    for (const auto& d : rule.out[i]) {
      const auto it = extents.find(d.name);
      if (it == extents.end())
        throw InputError(
            fmt::format("dim '{}' of result {} is in no input of {}", d.name, i, op.name));
      dims.push_back({d.name, it->second});
    }
    out.emplace_back(dtypes[i], std::move(dims));
  }
  return out;
}

Cost derived_cost(const DimRule& rule, Types in, Types out) {
  Cost cost;
  cost.flops = rule.flops_per_point;
  for (const auto& [name, extent] : bind_extents(rule, in)) cost.flops *= double(extent);
  for (const auto& t : in) cost.bytes += double(t.bytes());
  for (const auto& t : out) cost.bytes += double(t.bytes());
  return cost;
}

}  // namespace autarky
