// attention: softmax(scale q k^T) v over the keys a query may see (Vaswani et al. 2017; computed as
// in Dao, "FlashAttention-2", 2023). Positions and document segments are inputs, so causal masks,
// packed documents, sliding windows and key/value caches are data.
#pragma once
#include <limits>

#include "ops/elementwise.h"

namespace autarky {

struct AttentionAttrs {
  double scale = 1;
  std::int64_t window =
      0;  // a query sees keys less than this many positions back; 0: all before it
  static constexpr auto fields() {
    return std::tuple{field("scale", &AttentionAttrs::scale),
                      field("window", &AttentionAttrs::window)};
  }
  // Key visible to query: not after it, in the same segment (a segment below 0 is never seen).
  bool sees(double q_position, double k_position, double q_segment, double k_segment) const {
    return k_position <= q_position && k_segment == q_segment && k_segment >= 0 &&
           (window == 0 || q_position - k_position < double(window));
  }
};

// Index arithmetic of the reference: q [b s g r d], k and v [b t g d], positions [b s] and [b t].
struct AttentionShape {
  std::size_t b, s, t, g, r, d;
  explicit AttentionShape(Types in)
      : b(extent(in[0], 0)),
        s(extent(in[0], 1)),
        t(extent(in[1], 1)),
        g(extent(in[0], 2)),
        r(extent(in[0], 3)),
        d(extent(in[0], 4)) {}
  std::size_t q(std::size_t ib, std::size_t is, std::size_t ig, std::size_t ir) const {
    return ((ib * s + is) * g + ig) * r + ir;  // row of q, o, lse
  }
  std::size_t k(std::size_t ib, std::size_t it, std::size_t ig) const {
    return (ib * t + it) * g + ig;  // row of k, v
  }
  template <class Body>
  void each_query(Body&& body) const {
    for (std::size_t ib = 0; ib < b; ++ib)
      for (std::size_t is = 0; is < s; ++is)
        for (std::size_t ig = 0; ig < g; ++ig)
          for (std::size_t ir = 0; ir < r; ++ir) body(ib, is, ig, ir);
  }

 private:
  static std::size_t extent(const Type& t, std::size_t i) { return std::size_t(t.dims[i].extent); }
};

inline double attention_dot(std::span<const double> a, std::size_t row_a, std::span<const double> b,
                            std::size_t row_b, std::size_t d) {
  double sum = 0;
  for (std::size_t i = 0; i < d; ++i) sum += a[row_a * d + i] * b[row_b * d + i];
  return sum;
}

struct AttentionGrad {
  static constexpr std::string_view name = "attention_grad";
  using Attrs = AttentionAttrs;
  // q, k, v, positions and segments of queries and keys, o, lse, do -> dq, dk, dv
  static DimRule rule(const Attrs&, Types) {
    return dim_rule(
        "b s g r [d], b [t] g [d], b [t] g [d], b s, b [t], b s, b [t], b s g r [d], b s g r, "
        "b s g r [d] -> b s g r [d], b [t] g [d], b [t] g [d]");
  }
  static std::vector<DType> out_dtypes(const Attrs&, Types in) {
    return {in[0].dtype, in[1].dtype, in[2].dtype};
  }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  static Cost cost(const Attrs& a, Types in, Types out);
  // p = exp(scale q.k - lse); dv = p do; ds = p (do.v - do.o) scale; dq = ds k; dk = ds q
  static void reference(const Attrs& a, const HostArgs& x) {
    const AttentionShape n(x.in_types);
    const auto &q = x.in[0], &k = x.in[1], &v = x.in[2], &o = x.in[7], &lse = x.in[8],
               &dout = x.in[9];
    for (const auto& out : x.out)
      for (double& value : out) value = 0;
    n.each_query([&](auto b, auto s, auto g, auto r) {
      const auto row = n.q(b, s, g, r);
      const double delta = attention_dot(dout, row, o, row, n.d);
      for (std::size_t t = 0; t < n.t; ++t) {
        if (!a.sees(x.in[3][b * n.s + s], x.in[4][b * n.t + t], x.in[5][b * n.s + s],
                    x.in[6][b * n.t + t]))
          continue;
        const auto key = n.k(b, t, g);
        const double p = std::exp(a.scale * attention_dot(q, row, k, key, n.d) - lse[row]);
        const double ds = p * (attention_dot(dout, row, v, key, n.d) - delta) * a.scale;
        for (std::size_t i = 0; i < n.d; ++i) {
          x.out[0][row * n.d + i] += ds * k[key * n.d + i];
          x.out[1][key * n.d + i] += ds * q[row * n.d + i];
          x.out[2][key * n.d + i] += p * dout[row * n.d + i];
        }
      }
    });
  }
  static std::vector<Case> cases();
};

struct Attention {
  static constexpr std::string_view name = "attention";
  using Attrs = AttentionAttrs;
  // q [b s g r d], k [b t g d], v [b t g d], positions [b s] [b t], segments [b s] [b t]
  //   -> o [b s g r d], lse [b s g r] (log of the sum of exponentials, -inf where nothing is seen)
  static DimRule rule(const Attrs&, Types) {
    return dim_rule(
        "b s g r [d], b [t] g [d], b [t] g [d], b s, b [t], b s, b [t] -> b s g r [d], b s g r");
  }
  static std::vector<DType> out_dtypes(const Attrs&, Types in) {
    return {in[0].dtype, accumulate_dtype(in[0].dtype)};
  }
  static std::vector<Grad> grad(const Attrs& a, GradContext& c) {
    const auto d = apply_all<AttentionGrad>(c.graph, a,
                                            {c.in[0], c.in[1], c.in[2], c.in[3], c.in[4], c.in[5],
                                             c.in[6], c.out[0], c.out[1], *c.dout[0]});
    const NotDifferentiable whole{"positions and segments are whole numbers"};
    return {d[0], d[1], d[2], whole, whole, whole, whole};
  }
  // Two products over the visible scores: a causal half, within the window; all of those in the
  // window when s != t (decoding).
  static Cost cost(const Attrs& a, Types in, Types out) {
    const AttentionShape n(in);
    const double t = double(n.t), w = a.window > 0 ? std::min(double(a.window), t) : t;
    const double keys = n.s == n.t ? w * (1 - w / (2 * t)) : w;  // per query, averaged
    Cost c = derived_cost(rule(a, in), in, out);
    c.flops = 4 * double(n.b * n.s * n.g * n.r * n.d) * keys;
    return c;
  }
  static void reference(const Attrs& a, const HostArgs& x) {
    const AttentionShape n(x.in_types);
    const auto queries = std::size_t(x.count(x.in_types[0].dims[3]));  // padding sees nothing
    std::vector<double> score(n.t);
    n.each_query([&](auto b, auto s, auto g, auto r) {
      const auto row = n.q(b, s, g, r);
      constexpr double kNever = -std::numeric_limits<double>::infinity();
      double top = kNever, sum = 0;
      for (std::size_t t = 0; t < n.t; ++t) {
        const bool seen = a.sees(x.in[3][b * n.s + s], x.in[4][b * n.t + t], x.in[5][b * n.s + s],
                                 x.in[6][b * n.t + t]);
        score[t] =
            seen ? a.scale * attention_dot(x.in[0], row, x.in[1], n.k(b, t, g), n.d) : kNever;
        top = std::max(top, score[t]);
      }
      for (std::size_t t = 0; t < n.t && top > kNever; ++t) sum += std::exp(score[t] - top);
      x.out[1][row] = top > kNever ? top + std::log(sum) : kNever;
      for (std::size_t i = 0; i < n.d; ++i) {
        double value = 0;
        for (std::size_t t = 0; t < n.t && r < queries; ++t)
          if (score[t] > kNever)
            value += std::exp(score[t] - top) / sum * x.in[2][n.k(b, t, g) * n.d + i];
        x.out[0][row * n.d + i] = value;
      }
    });
  }
  static std::vector<Case> cases() {
    const auto build = [](Attrs a, std::int64_t s, std::int64_t t, std::int64_t g, std::int64_t r,
                          std::int64_t d) {
      const Dim b{'b', 2}, ds{'s', s}, dt{'t', t}, dg{'g', g}, dr{'r', r}, dd{'d', d};
      const Type k = sample({b, dt, dg, dd}), qi(DType::i32, {b, ds}), ki(DType::i32, {b, dt});
      return Case{a,
                  {sample({b, ds, dg, dr, dd}), k, k, qi, ki, qi, ki},
                  {Fill::normal, Fill::normal, Fill::normal, Fill::positions, Fill::positions,
                   Fill::segments, Fill::segments},
                  0,
                  {},
                  {1}};
    };
    return {build({0.5}, 6, 6, 2, 1, 4), build({0.25, 3}, 9, 9, 2, 2, 8),
            build({0.35}, 7, 7, 1, 3, 20)};
  }
};

inline Cost AttentionGrad::cost(const Attrs& a, Types in, Types out) {
  Cost c = derived_cost(rule(a, in), in, out);
  c.flops = 2.5 * Attention::cost(a, in.first(7), in.subspan(7, 2)).flops;  // five products for two
  return c;
}
inline std::vector<Case> AttentionGrad::cases() {
  return {};
}  // run as the gradient of attention's

}  // namespace autarky
