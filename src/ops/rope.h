// rope: rotary position embedding (Su et al., "RoFormer", 2021), halves convention: element i pairs
// with element i + d/2. Frequencies are an input, so every scaling of them is data.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct Rope {
  static constexpr std::string_view name = "rope";
  struct Attrs {
    double scale = 1;      // of the result (YaRN's attention factor)
    bool inverse = false;  // rotates back: the gradient
    static constexpr auto fields() {
      return std::tuple{field("scale", &Attrs::scale), field("inverse", &Attrs::inverse)};
    }
  };
  // x [b s .. d], positions [b s], frequencies [k] (radians per position, k = d/2) -> [b s .. d]
  // Positions have x's first two dims, whatever they are called: the gradient of keys has [b t].
  static DimRule rule(const Attrs&, Types in) {
    const auto x = last_dim_whole(in[0]);
    if (in[0].dims.size() < 3) throw InputError("rope wants [b s .. d]").found(to_string(in[0]));
    return dim_rule(x + ", " + x.substr(0, 3) + ", [k] -> " + x, 6);
  }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{0}}; }
  static std::vector<Grad> grad(const Attrs& a, GradContext& c) {
    return {apply<Rope>(c.graph, {a.scale, !a.inverse}, {*c.dout[0], c.in[1], c.in[2]}),
            NotDifferentiable{"positions are whole numbers"},
            NotDifferentiable{"frequencies are constants"}};
  }
  static Cost cost(const Attrs&, Types in, Types out) {
    return {3 * double(out[0].elements()), double(in[0].bytes() + out[0].bytes())};
  }
  // angle = position * frequency[i]; (u, w) -> scale (u cos - w sin, w cos + u sin)
  static void reference(const Attrs& a, const HostArgs& x) {
    const auto d = std::size_t(x.in_types[0].dims.back().extent), half = d / 2;
    const std::size_t rows_per_token = x.in[0].size() / d / x.in[1].size();
    for (std::size_t row = 0; row < x.in[0].size() / d; ++row)
      for (std::size_t i = 0; i < half; ++i) {
        const double angle = x.in[1][row / rows_per_token] * x.in[2][i] * (a.inverse ? -1 : 1);
        const double u = x.in[0][row * d + i], w = x.in[0][row * d + half + i];
        x.out[0][row * d + i] = a.scale * (u * std::cos(angle) - w * std::sin(angle));
        x.out[0][row * d + half + i] = a.scale * (w * std::cos(angle) + u * std::sin(angle));
      }
  }
  static std::vector<Case> cases() {
    const Type positions(DType::i32, {{'b', 2}, {'s', 6}});
    const std::vector<Fill> fill = {Fill::normal, Fill::positions, Fill::positive};
    return {{Attrs{},
             {sample({{'b', 2}, {'s', 6}, {'g', 2}, {'r', 3}, {'d', 8}}), positions,
              sample({{'k', 4}})},
             fill,
             0,
             {2}},
            {Attrs{1.25, true},
             {sample({{'b', 2}, {'t', 6}, {'g', 2}, {'d', 20}}), positions, sample({{'k', 10}})},
             fill,
             0,
             {2}}};
  }
};

}  // namespace autarky
