// fill: sets a value to a constant, in place.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct FillWith {
  static constexpr std::string_view name = "fill";
  struct Attrs {
    double value = 0;
    static constexpr auto fields() { return std::tuple{field("value", &Attrs::value)}; }
  };
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 0); }
  static std::vector<int> aliases(const Attrs&, std::size_t) { return {0}; }
  static constexpr std::string_view not_differentiable = "a constant has no gradient";
  static void reference(const Attrs& a, const HostArgs& x) {
    for (double& v : x.out[0]) v = a.value;
  }
  static std::vector<Case> cases() { return {{Attrs{}, {sample({{'f', 6}, {'e', 20}})}, {}}}; }
};

}  // namespace autarky
