#include "ir/op_info.h"

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
  const DimRule rule = op.rule(attrs, in);
  const Extents extents = bind_extents(rule, in);
  const auto dtypes = op.out_dtypes(attrs, in);
  AUTARKY_CHECK(dtypes.size() == rule.out.size(), op.name);
  std::vector<Type> out;
  for (std::size_t i = 0; i < rule.out.size(); ++i) {
    std::vector<Dim> dims;
    for (const auto& d : rule.out[i]) {
      const auto it = extents.find(d.name);
      AUTARKY_CHECK(it != extents.end(), op.name);
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
