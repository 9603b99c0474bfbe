// gelu in its exact form, x times the normal distribution function (Hendrycks and Gimpel 2016):
// "gelu" in a config.json, where gates.h has the tanh form "gelu_new".
#pragma once
#include <numbers>

#include "ops/elementwise.h"

namespace autarky {

inline double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

struct GeluErfGrad {
  static constexpr std::string_view name = "gelu_erf_grad";
  struct Attrs : NoAttrs {};
  // x, dy -> dx
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 14); }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{1}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  // cdf(x) + x exp(-x^2/2) / sqrt(2 pi)
  static void reference(const Attrs&, const HostArgs& x) {
    const double scale = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    for (std::size_t i = 0; i < x.out[0].size(); ++i) {
      const double v = x.in[0][i];
      x.out[0][i] = x.in[1][i] * (normal_cdf(v) + v * scale * std::exp(-0.5 * v * v));
    }
  }
  static std::vector<Case> cases() {
    const Type t = sample({{'b', 2}, {'s', 6}, {'f', 20}});
    return {{Attrs{}, {t, t}, {}}};
  }
};

struct GeluErf {
  static constexpr std::string_view name = "gelu_erf";
  struct Attrs : NoAttrs {};
  // x -> x cdf(x)
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 10); }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) {
    return {apply<GeluErfGrad>(c.graph, {}, {c.in[0], *c.dout[0]})};
  }
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i)
      x.out[0][i] = x.in[0][i] * normal_cdf(x.in[0][i]);
  }
  static std::vector<Case> cases() {
    return {{Attrs{}, {sample({{'b', 2}, {'s', 6}, {'f', 20}})}, {}}};
  }
};

}  // namespace autarky
