// The feed-forward activations: silu_gate (SwiGLU: Shazeer, "GLU Variants Improve Transformer",
// 2020) and gelu in its tanh form (Hendrycks and Gimpel 2016), as GPT-2 uses it.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct SiluGateGrad {
  static constexpr std::string_view name = "silu_gate_grad";
  struct Attrs : NoAttrs {};
  // gate, up, dy -> dgate, dup
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 2, 10); }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{2}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  // h = 1/(1+exp(-g)): d(g h)/dg = h (1 + g (1 - h))
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i) {
      const double g = x.in[0][i], u = x.in[1][i], dy = x.in[2][i], h = 1 / (1 + std::exp(-g));
      x.out[0][i] = dy * u * h * (1 + g * (1 - h));
      x.out[1][i] = dy * g * h;
    }
  }
  static std::vector<Case> cases() {
    const Type t = sample({{'b', 2}, {'s', 6}, {'f', 20}});
    return {{Attrs{}, {t, t, t}, {}}};
  }
};

struct SiluGate {
  static constexpr std::string_view name = "silu_gate";
  struct Attrs : NoAttrs {};
  // gate, up -> gate / (1 + exp(-gate)) * up
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 6); }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) {
    const auto d = apply_all<SiluGateGrad>(c.graph, {}, {c.in[0], c.in[1], *c.dout[0]});
    return {d[0], d[1]};
  }
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i)
      x.out[0][i] = x.in[0][i] / (1 + std::exp(-x.in[0][i])) * x.in[1][i];
  }
  static std::vector<Case> cases() {
    const Type t = sample({{'b', 2}, {'s', 6}, {'f', 20}});
    return {{Attrs{}, {t, t}, {}}};
  }
};

namespace gelu {
constexpr double kRoot = 0.7978845608028654, kCube = 0.044715;  // sqrt(2/pi)
}

struct GeluGrad {
  static constexpr std::string_view name = "gelu_grad";
  struct Attrs : NoAttrs {};
  // x, dy -> dx
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 14); }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{1}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i) {
      const double v = x.in[0][i], t = std::tanh(gelu::kRoot * (v + gelu::kCube * v * v * v));
      const double slope = gelu::kRoot * (1 + 3 * gelu::kCube * v * v);
      x.out[0][i] = x.in[1][i] * (0.5 * (1 + t) + 0.5 * v * (1 - t * t) * slope);
    }
  }
  static std::vector<Case> cases() {
    const Type t = sample({{'b', 2}, {'s', 6}, {'f', 20}});
    return {{Attrs{}, {t, t}, {}}};
  }
};

struct Gelu {
  static constexpr std::string_view name = "gelu";
  struct Attrs : NoAttrs {};
  // x -> x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 10); }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) {
    return {apply<GeluGrad>(c.graph, {}, {c.in[0], *c.dout[0]})};
  }
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i) {
      const double v = x.in[0][i];
      x.out[0][i] = 0.5 * v * (1 + std::tanh(gelu::kRoot * (v + gelu::kCube * v * v * v)));
    }
  }
  static std::vector<Case> cases() {
    return {{Attrs{}, {sample({{'b', 2}, {'s', 6}, {'f', 20}})}, {}}};
  }
};

}  // namespace autarky
