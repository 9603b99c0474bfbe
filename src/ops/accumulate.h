// accumulate: adds a value into an accumulator of wider type, in place.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct Accumulate {
  static constexpr std::string_view name = "accumulate";
  struct Attrs : NoAttrs {};
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 1); }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{0, 1}}; }
  static std::vector<int> aliases(const Attrs&, std::size_t) { return {0}; }
  static constexpr std::string_view not_differentiable = "it belongs to the optimizer's side";
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i) x.out[0][i] = x.in[0][i] + x.in[1][i];
  }
  static std::vector<Case> cases() {
    const Type t = sample({{'f', 6}, {'e', 20}});
    return {{Attrs{}, {t, t}, {}, 0, {0}}};
  }
};

}  // namespace autarky
