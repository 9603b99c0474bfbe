// The dimension rule of an operation: one line from which shapes, sharding, FLOPs and bytes follow.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace autarky {

struct RuleDim {
  char name;
  bool whole;  // must be whole on one device
};

// "b s e, f e -> b s f": names are bound to the inputs' dims by position; equal names agree in
// extent; a name in no output is reduced. "[d]" must be whole on one device. An output may say how
// its reduced dims combine: "b s e, v e, b s -> lse: b s, one: b s"; the default is sum.
// An empty list is a scalar.
struct DimRule {
  std::vector<std::vector<RuleDim>> in, out;
  std::vector<Combine> combine;        // per output
  double flops_per_point = 0;          // per point of the product of all extents
  std::map<char, std::int64_t> given;  // extents of letters that no input has

  std::vector<char> letters() const;  // each once, inputs first
  bool is_whole(char name) const;     // in brackets anywhere
};

DimRule dim_rule(std::string_view text, double flops_per_point = 0);

// The names of a type's dims, as text for a rule: "b s e".
std::string dim_names(const Type& type);

using Extents = std::map<char, std::int64_t>;
// Binds the rule's names to the extents of the inputs; InputError names the letter and both
// numbers.
Extents bind_extents(const DimRule& rule, Types in);

// Which axes split each letter of one operation.
using Assignment = std::map<char, std::vector<Axis>>;
// The layout an input must arrive in (input i), and the one an output leaves in (output i).
Layout input_layout(const DimRule& rule, std::size_t i, const Assignment& assigned);
Layout output_layout(const DimRule& rule, std::size_t i, const Assignment& assigned);

}  // namespace autarky
