// add_bias: x + bias, the bias having the last dims of x.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct BiasGrad {
  static constexpr std::string_view name = "bias_grad";
  struct Attrs {
    std::int64_t leading = 2;  // dims of dy that are summed
    DType out = DType::f32;
    static constexpr auto fields() {
      return std::tuple{field("leading", &Attrs::leading), field("out", &Attrs::out)};
    }
  };
  // dy [.. f] -> [f]
  static DimRule rule(const Attrs& a, Types in) {
    const auto names = dim_names(in[0]);
    return dim_rule(
        names + " -> " + names.substr(std::min(names.size(), 2 * std::size_t(a.leading))), 1);
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types) { return {a.out}; }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{0}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  static void reference(const Attrs&, const HostArgs& x) {
    for (double& v : x.out[0]) v = 0;
    for (std::size_t i = 0; i < x.in[0].size(); ++i) x.out[0][i % x.out[0].size()] += x.in[0][i];
  }
  static std::vector<Case> cases() {
    return {{Attrs{}, {sample({{'b', 2}, {'s', 6}, {'f', 20}})}, {}},
            {Attrs{}, {sample({{'b', 2}, {'s', 6}, {'g', 2}, {'d', 8}})}, {}}};
  }
};

struct AddBias {
  static constexpr std::string_view name = "add_bias";
  struct Attrs : NoAttrs {};
  // x [.. f], bias [f] -> [.. f]; not linear in x: on a partial sum the bias would be added tp
  // times
  static DimRule rule(const Attrs&, Types in) {
    return dim_rule(dim_names(in[0]) + ", " + dim_names(input(in, 1)) + " -> " + dim_names(in[0]),
                    1);
  }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) {
    const auto leading = c.graph.type(c.in[0]).dims.size() - c.graph.type(c.in[1]).dims.size();
    return {*c.dout[0],
            apply<BiasGrad>(c.graph, {std::int64_t(leading), c.grad_dtype(1)}, {*c.dout[0]})};
  }
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i)
      x.out[0][i] = x.in[0][i] + x.in[1][i % x.in[1].size()];
  }
  static std::vector<Case> cases() {
    return {{Attrs{}, {sample({{'b', 2}, {'s', 6}, {'f', 20}}), sample({{'f', 20}})}, {}, 0, {1}},
            {Attrs{},
             {sample({{'b', 2}, {'s', 6}, {'g', 2}, {'d', 8}}), sample({{'g', 2}, {'d', 8}})},
             {},
             0,
             {1}}};
  }
};

}  // namespace autarky
