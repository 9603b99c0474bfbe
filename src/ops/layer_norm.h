// layer_norm: (x - mean) / sqrt(variance + eps) * w + b (Ba, Kiros, Hinton, "Layer Normalization",
// 2016).
#pragma once
#include "ops/rms_norm.h"

namespace autarky {

struct LayerNormGrad {
  static constexpr std::string_view name = "layer_norm_grad";
  using Attrs = RmsNormAttrs;
  // x [.. e], w [e], dy [.. e] -> dx [.. e], dw [e], db [e]
  static DimRule rule(const Attrs&, Types in) {
    const auto x = last_dim_whole(in[0]), w = last_dim(in[0]);
    return dim_rule(x + ", " + w + ", " + x + " -> " + x + ", " + w + ", " + w, 14);
  }
  static std::vector<DType> out_dtypes(const Attrs&, Types in) {
    return {in[0].dtype, in[1].dtype, in[1].dtype};
  }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{2}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  // h = (x - mean) r, g = w dy: dx = r (g - mean(g) - h mean(h g)), dw = sum h dy, db = sum dy
  static void reference(const Attrs& a, const HostArgs& x) {
    const auto e = std::size_t(x.in_types[0].dims.back().extent);
    for (double& v : x.out[1]) v = 0;
    for (double& v : x.out[2]) v = 0;
    for (std::size_t row = 0; row < x.in[0].size(); row += e) {
      double sum = 0, squares = 0, mean_g = 0, mean_hg = 0;
      for (std::size_t j = 0; j < e; ++j) sum += x.in[0][row + j];
      const double mean = sum / double(e);
      for (std::size_t j = 0; j < e; ++j)
        squares += (x.in[0][row + j] - mean) * (x.in[0][row + j] - mean);
      const double r = 1 / std::sqrt(squares / double(e) + a.eps);
      for (std::size_t j = 0; j < e; ++j) {
        const double g = x.in[1][j] * x.in[2][row + j];
        mean_g += g / double(e);
        mean_hg += (x.in[0][row + j] - mean) * r * g / double(e);
      }
      for (std::size_t j = 0; j < e; ++j) {
        const double h = (x.in[0][row + j] - mean) * r;
        x.out[0][row + j] = r * (x.in[1][j] * x.in[2][row + j] - mean_g - h * mean_hg);
        x.out[1][j] += h * x.in[2][row + j];
        x.out[2][j] += x.in[2][row + j];
      }
    }
  }
  static std::vector<Case> cases() {
    const Type x = sample({{'b', 2}, {'s', 6}, {'e', 20}});
    return {{Attrs{}, {x, sample({{'e', 20}}), x}, {}, 0, {1}}};
  }
};

struct LayerNorm {
  static constexpr std::string_view name = "layer_norm";
  using Attrs = RmsNormAttrs;
  // x [.. e], w [e], b [e] -> [.. e]
  static DimRule rule(const Attrs&, Types in) {
    const auto x = last_dim_whole(in[0]), w = last_dim(in[0]);
    return dim_rule(x + ", " + w + ", " + w + " -> " + x, 7);
  }
  static std::vector<Grad> grad(const Attrs& a, GradContext& c) {
    const auto d = apply_all<LayerNormGrad>(c.graph, a, {c.in[0], c.in[1], *c.dout[0]});
    return {d[0], d[1], d[2]};
  }
  static void reference(const Attrs& a, const HostArgs& x) {
    const auto e = std::size_t(x.in_types[0].dims.back().extent);
    for (std::size_t row = 0; row < x.in[0].size(); row += e) {
      double sum = 0, squares = 0;
      for (std::size_t j = 0; j < e; ++j) sum += x.in[0][row + j];
      const double mean = sum / double(e);
      for (std::size_t j = 0; j < e; ++j)
        squares += (x.in[0][row + j] - mean) * (x.in[0][row + j] - mean);
      const double r = 1 / std::sqrt(squares / double(e) + a.eps);
      for (std::size_t j = 0; j < e; ++j)
        x.out[0][row + j] = (x.in[0][row + j] - mean) * r * x.in[1][j] + x.in[2][j];
    }
  }
  static std::vector<Case> cases() {
    return {{Attrs{},
             {sample({{'b', 2}, {'s', 6}, {'e', 20}}), sample({{'e', 20}}), sample({{'e', 20}})},
             {},
             0,
             {1, 2}}};
  }
};

}  // namespace autarky
