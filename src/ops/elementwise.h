// Helpers for operations that treat every element, or every row, alike.
#pragma once
#include <cmath>

#include "base/error.h"
#include "ops/operation.h"

namespace autarky {

// Input i, or an InputError: rules are asked before the number of inputs is known to be right.
inline const Type& input(Types in, std::size_t i) {
  if (i >= in.size()) throw InputError("input " + std::to_string(i) + " is missing");
  return in[i];
}

// The rule of an elementwise operation: `inputs` and `outputs` values with the dims of the first.
inline DimRule same_dims_rule(Types in, std::size_t outputs, double flops_per_point) {
  const std::string dims = dim_names(in[0]);
  std::string text;
  for (std::size_t i = 0; i < in.size(); ++i) text += (i ? ", " : "") + dims;
  text += " ->";
  for (std::size_t i = 0; i < outputs; ++i) text += (i ? ", " : " ") + dims;
  return dim_rule(text, flops_per_point);
}

// "b s [e]": the dims of a type with the last one whole.
inline std::string last_dim_whole(const Type& type) {
  std::string names = dim_names(type);
  if (names.empty()) throw InputError("an input has no dims").found(to_string(type));
  return names.substr(0, names.size() - 1) + '[' + names.back() + ']';
}
inline std::string last_dim(const Type& type) {
  return std::string("[") + type.dims.back().name + ']';
}

inline Type sample(std::vector<Dim> dims, DType t = DType::f32) { return Type(t, std::move(dims)); }

}  // namespace autarky
