// What the compiler knows of an operation: made once per catalog entry from its file in ops/.
#pragma once
#include <any>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/dim_rule.h"

namespace autarky {

struct Graph;
struct Value {
  int id = -1;
  bool operator==(const Value&) const = default;
};

struct NotDifferentiable {
  std::string_view why;
};
using Grad = std::variant<Value, NotDifferentiable>;               // of one input
using Grads = std::variant<std::vector<Grad>, NotDifferentiable>;  // of all inputs, in order

// Where a gradient is written: emits nodes into `graph`.
struct GradContext {
  Graph& graph;
  std::span<const Value> in, out;
  std::span<const std::optional<Value>> dout;  // none: nothing flows back through that output

  // The element type a gradient of input i is kept in: f32 for a parameter held in bf16.
  DType grad_dtype(std::size_t i) const;
};

struct Cost {
  double flops = 0;  // 2 per multiply-add
  double bytes = 0;  // operands and results, each once
  bool operator==(const Cost&) const = default;
};

// Operands of a reference: whole tensors as f64 values, row-major in the types' order of dims.
struct HostArgs {
  std::span<const std::span<const double>> in;
  std::span<const std::span<double>> out;
  Types in_types, out_types;  // of this rank
  DimParts parts;             // of this rank
  std::int64_t origin(char name) const { return part_of(parts, name, 0).origin; }
  // How many of a dim's indices that are here are no padding.
  std::int64_t count(const Dim& dim) const { return part_of(parts, dim.name, dim.extent).count; }
};

// What a sample input is filled with.
enum class Fill : std::uint8_t { normal, ids, positions, segments, targets, positive };
struct Case {
  std::any attrs;
  std::vector<Type> in;
  std::vector<Fill> fill;     // per input; missing ones are normal
  std::int64_t id_limit = 0;  // ids and targets lie in [0, id_limit)
  // The floating inputs of a case are declared f32 and stand for the model's element type, but
  // these, which are of accumulate_dtype; an input that an output takes over has that one's type.
  std::vector<int> wide = {};
  std::vector<int> auxiliary = {};  // outputs that no gradient flows back through
};

// What an operation does to the value between devices, if that is all it does.
enum class Movement : std::uint8_t { none, collective, send, receive };

struct OpInfo {
  std::string_view name;
  DimRule (*rule)(const std::any& attrs, Types in);
  std::vector<DType> (*out_dtypes)(const std::any& attrs, Types in);
  std::vector<std::vector<int>> (*linear)(const std::any& attrs, std::size_t inputs);
  std::vector<int> (*aliases)(const std::any& attrs, std::size_t inputs);
  std::optional<std::any> (*accumulating)(const std::any& attrs, int output);
  Grads (*grad)(const std::any& attrs, GradContext&);
  void (*reference)(const std::any& attrs, const HostArgs&);
  Cost (*cost)(const std::any& attrs, Types in, Types out);
  std::vector<Case> (*cases)();
  std::string (*print)(const std::any& attrs);
  std::any (*parse)(std::string_view text);
  Movement movement = Movement::none;
};

// Output types of one application (whole, or local when the inputs are): names and extents by the
// rule, letters that no input binds are not allowed.
std::vector<Type> output_types(const OpInfo& op, const std::any& attrs, Types in);
// FLOPs from the rule, bytes from operands and results: the default of OpInfo::cost.
Cost derived_cost(const DimRule& rule, Types in, Types out);

}  // namespace autarky
