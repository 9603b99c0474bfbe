// add: x + y, the residual connection.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct Add {
  static constexpr std::string_view name = "add";
  struct Attrs : NoAttrs {};
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 1); }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{0, 1}}; }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) { return {*c.dout[0], *c.dout[0]}; }
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i) x.out[0][i] = x.in[0][i] + x.in[1][i];
  }
  static std::vector<Case> cases() {
    const Type t = sample({{'b', 2}, {'s', 6}, {'e', 20}});
    return {{Attrs{}, {t, t}, {}}};
  }
};

}  // namespace autarky
