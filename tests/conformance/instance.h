// One application of an operation with values for its inputs, made from the operation's cases.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace autarky {

using Values = std::vector<double>;  // of one tensor, row-major, exact in its element type

struct Instance {
  const OpInfo* op = nullptr;
  std::any attrs;
  std::vector<Type> in, out;
  std::vector<Values> values;  // of the inputs
  DimParts parts;
  std::string label;  // for messages
};

// Extents of the samples: as the case says; odd ones, about three times as large; large enough for
// several tiles. Head sizes stay even.
enum class Size : std::uint8_t { small, odd, large };
inline constexpr Size kSizes[] = {Size::small, Size::odd, Size::large};

// The case with `dtype` for the model's element type, in every form of it: results of that type
// and, where the attributes say so, of the wide one. None if the case has no such input.
std::vector<Instance> instances(const OpInfo& op, const Case& c, Size size, DType dtype);

// The instance as a graph with ports in0, in1, ...; out0, out1, ... but the auxiliary outputs.
Graph graph_of(const Instance& instance, const std::vector<int>& auxiliary);

// The instances of operations that have no cases of their own in the gradient of this one; forward
// values are rounded as they would be when the gradient runs.
std::vector<Instance> gradient_instances(const Instance& forward, const Case& c);

// Values of every value of a graph by its operations' definitions; `given` by input port. Rounded
// to the element types.
std::vector<Values> evaluate(const Graph& graph, const std::map<std::string, Values>& given);

// Outputs by the definition, not rounded.
std::vector<Values> definition(const Instance& instance);

// Multiples of 1/128 in [-1, 1]; each element depends on `stream` and its index.
Values normal_values(std::int64_t count, std::uint32_t stream);
Values rounded(Values values, DType dtype);

}  // namespace autarky
