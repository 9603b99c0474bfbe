// rms_norm: x / sqrt(mean(x^2) + eps) * w (Zhang and Sennrich, "Root Mean Square Layer
// Normalization", NeurIPS 2019).
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct RmsNormAttrs {
  double eps = 1e-5;
  static constexpr auto fields() { return std::tuple{field("eps", &RmsNormAttrs::eps)}; }
};

struct RmsNormGrad {
  static constexpr std::string_view name = "rms_norm_grad";
  using Attrs = RmsNormAttrs;
  // x [.. e], w [e], dy [.. e] -> dx [.. e], dw [e]
  static DimRule rule(const Attrs&, Types in) {
    const auto x = last_dim_whole(in[0]), w = last_dim(in[0]);
    return dim_rule(x + ", " + w + ", " + x + " -> " + x + ", " + w, 10);
  }
  static std::vector<DType> out_dtypes(const Attrs&, Types in) {
    return {in[0].dtype, in[1].dtype};
  }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{2}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  // r = 1/sqrt(mean(x^2) + eps), h = x r: dx = r (w dy - h mean(h w dy)), dw = sum over rows h dy
  static void reference(const Attrs& a, const HostArgs& x) {
    const auto e = std::size_t(x.in_types[0].dims.back().extent);
    for (double& v : x.out[1]) v = 0;
    for (std::size_t row = 0; row < x.in[0].size(); row += e) {
      double squares = 0, dot = 0;
      for (std::size_t j = 0; j < e; ++j) squares += x.in[0][row + j] * x.in[0][row + j];
      const double r = 1 / std::sqrt(squares / double(e) + a.eps);
      for (std::size_t j = 0; j < e; ++j)
        dot += x.in[0][row + j] * r * x.in[1][j] * x.in[2][row + j];
      for (std::size_t j = 0; j < e; ++j) {
        const double h = x.in[0][row + j] * r;
        x.out[0][row + j] = r * (x.in[1][j] * x.in[2][row + j] - h * dot / double(e));
        x.out[1][j] += h * x.in[2][row + j];
      }
    }
  }
  static std::vector<Case> cases() {
    const Type x = sample({{'b', 2}, {'s', 6}, {'e', 20}});
    return {{Attrs{}, {x, sample({{'e', 20}}), x}, {}, 0, {1}}};
  }
};

struct RmsNorm {
  static constexpr std::string_view name = "rms_norm";
  using Attrs = RmsNormAttrs;
  // x [.. e], w [e] -> [.. e]
  static DimRule rule(const Attrs&, Types in) {
    const auto x = last_dim_whole(in[0]);
    return dim_rule(x + ", " + last_dim(in[0]) + " -> " + x, 4);
  }
  static std::vector<Grad> grad(const Attrs& a, GradContext& c) {
    const auto d = apply_all<RmsNormGrad>(c.graph, a, {c.in[0], c.in[1], *c.dout[0]});
    return {d[0], d[1]};
  }
  static void reference(const Attrs& a, const HostArgs& x) {
    const auto e = std::size_t(x.in_types[0].dims.back().extent);
    for (std::size_t row = 0; row < x.in[0].size(); row += e) {
      double squares = 0;
      for (std::size_t j = 0; j < e; ++j) squares += x.in[0][row + j] * x.in[0][row + j];
      const double r = 1 / std::sqrt(squares / double(e) + a.eps);
      for (std::size_t j = 0; j < e; ++j) x.out[0][row + j] = x.in[0][row + j] * r * x.in[1][j];
    }
  }
  static std::vector<Case> cases() {
    return {{Attrs{}, {sample({{'b', 2}, {'s', 6}, {'e', 20}}), sample({{'e', 20}})}, {}, 0, {1}},
            {Attrs{1e-3},
             {sample({{'b', 1}, {'s', 4}, {'g', 2}, {'d', 16}}), sample({{'d', 16}})},
             {},
             0,
             {1}}};
  }
};

}  // namespace autarky
