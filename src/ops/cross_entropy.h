// The loss over a vocabulary. vocab_stats and token_loss define it and shard over the vocabulary;
// linear_cross_entropy is the fused form that makes loss and gradients in one pass over chunks of
// tokens, so that logits are never stored whole (the fuse pass puts it in).
#pragma once
#include <limits>

#include "ops/elementwise.h"

namespace autarky {

// Sample inputs that every operation here shares: x [b s e], w [v e], targets [b s].
struct CrossEntropySamples {
  Type x = sample({{'b', 2}, {'s', 6}, {'e', 20}}), w = sample({{'v', 12}, {'e', 20}});
  Type logits = sample({{'b', 2}, {'s', 6}, {'v', 12}});
  Type targets = Type(DType::i32, {{'b', 2}, {'s', 6}}), tokens = sample({{'b', 2}, {'s', 6}});
};

// Calls body(token, local target row or -1, logits) for every token; padding has no logits.
template <class Body>
void each_token_logits(const HostArgs& x, Body&& body) {
  const auto e = std::size_t(x.in_types[0].dims.back().extent);
  const auto v = std::size_t(x.count(x.in_types[1].dims[0]));
  std::vector<double> logits(v);
  for (std::size_t t = 0; t < x.in[2].size(); ++t) {
    for (std::size_t i = 0; i < v; ++i) {
      logits[i] = 0;
      for (std::size_t j = 0; j < e; ++j) logits[i] += x.in[0][t * e + j] * x.in[1][i * e + j];
    }
    const auto row = std::int64_t(x.in[2][t]) - x.origin('v');
    body(t, x.in[2][t] >= 0 && row >= 0 && row < std::int64_t(v) ? row : -1, logits);
  }
}

inline double log_sum_exp(std::span<const double> values) {
  if (values.empty()) return -std::numeric_limits<double>::infinity();
  double top = values[0], sum = 0;
  for (double v : values) top = std::max(top, v);
  for (double v : values) sum += std::exp(v - top);
  return top + std::log(sum);
}

// dx[t] += dlogits w, dw += dlogits^T x, for one token
inline void add_logit_grads(const HostArgs& x, std::size_t t, std::span<const double> dlogits,
                            std::span<double> dx, std::span<double> dw) {
  const auto e = std::size_t(x.in_types[0].dims.back().extent);
  for (std::size_t i = 0; i < dlogits.size(); ++i)
    for (std::size_t j = 0; j < e; ++j) {
      dx[t * e + j] += dlogits[i] * x.in[1][i * e + j];
      dw[i * e + j] += dlogits[i] * x.in[0][t * e + j];
    }
}

struct VocabStatsGrad {
  static constexpr std::string_view name = "vocab_stats_grad";
  struct Attrs {
    DType out = DType::f32;  // of dw
    bool kept = false;       // logits are a seventh input, not made again
    static constexpr auto fields() {
      return std::tuple{field("out", &Attrs::out), field("kept", &Attrs::kept)};
    }
  };
  // x [b s e], w [v e], targets, lse, d_lse, d_target [b s], (logits [b s v])
  //   -> dx [b s e], dw [v e]
  static DimRule rule(const Attrs& a, Types) {
    const std::string in = "b s [e], v [e], b s, b s, b s, b s", out = " -> b s [e], v [e]";
    return a.kept ? dim_rule(in + ", b s v" + out, 4) : dim_rule(in + out, 6);
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types in) { return {in[0].dtype, a.out}; }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{4, 5}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  // dlogit[v] = d_lse exp(logit - lse) + d_target [v = target]
  static void reference(const Attrs& a, const HostArgs& x) {
    for (const auto& out : x.out)
      for (double& v : out) v = 0;
    const auto row = std::size_t(x.in_types[1].dims[0].extent);
    each_token_logits(x, [&](std::size_t t, std::int64_t target, std::vector<double>& logits) {
      for (std::size_t i = 0; i < logits.size(); ++i) {
        const double logit = a.kept ? x.in[6][t * row + i] : logits[i];
        logits[i] = x.in[4][t] * std::exp(logit - x.in[3][t]) +
                    (std::int64_t(i) == target ? x.in[5][t] : 0);
      }
      add_logit_grads(x, t, logits, x.out[0], x.out[1]);
    });
  }
  static std::vector<Case> cases() {
    const CrossEntropySamples n;
    const std::vector<Fill> fill = {Fill::normal, Fill::normal, Fill::targets};
    return {{Attrs{DType::f32, true},
             {n.x, n.w, n.targets, n.tokens, n.tokens, n.tokens, n.logits},
             fill,
             12,
             {3, 4, 5, 6}}};  // the other form runs as the gradient of vocab_stats
  }
};

struct VocabStats {
  static constexpr std::string_view name = "vocab_stats";
  struct Attrs {
    bool keep = false;  // the logits too, for a backward that would make them again (fuse)
    static constexpr auto fields() { return std::tuple{field("keep", &Attrs::keep)}; }
  };
  // x [b s e], w [v e], targets [b s] (below 0: none) -> lse [b s], target logit [b s],
  //   (logits [b s v], 0 in padding)
  static DimRule rule(const Attrs& a, Types) {
    return dim_rule(a.keep ? "b s [e], v [e], b s -> lse: b s, one: b s, b s v"
                           : "b s [e], v [e], b s -> lse: b s, one: b s",
                    2);
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types in) {
    const DType wide = accumulate_dtype(in[0].dtype);
    return std::vector<DType>(a.keep ? 3 : 2, wide);
  }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) {
    const auto d = apply_all<VocabStatsGrad>(
        c.graph, {c.grad_dtype(1)},
        {c.in[0], c.in[1], c.in[2], c.out[0], c.dout[0].value(), c.dout[1].value()});
    return {d[0], d[1], NotDifferentiable{"targets are whole numbers"}};
  }
  static void reference(const Attrs& a, const HostArgs& x) {
    const auto row = std::size_t(x.in_types[1].dims[0].extent);
    if (a.keep) std::fill(x.out[2].begin(), x.out[2].end(), 0.0);
    each_token_logits(x,
                      [&](std::size_t t, std::int64_t target, const std::vector<double>& logits) {
                        x.out[0][t] = log_sum_exp(logits);
                        x.out[1][t] = target < 0 ? 0 : logits[std::size_t(target)];
                        for (std::size_t i = 0; a.keep && i < logits.size(); ++i)
                          x.out[2][t * row + i] = logits[i];
                      });
  }
  static std::vector<Case> cases() {
    const CrossEntropySamples n;
    const std::vector<Fill> fill = {Fill::normal, Fill::normal, Fill::targets};
    return {{Attrs{}, {n.x, n.w, n.targets}, fill, 12},
            {Attrs{true}, {n.x, n.w, n.targets}, fill, 12, {}, {2}}};
  }
};

struct TokenLossGrad {
  static constexpr std::string_view name = "token_loss_grad";
  struct Attrs : NoAttrs {};
  // d_loss, targets -> d_lse, d_target
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 2, 1); }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{0}}; }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i) {
      x.out[0][i] = x.in[1][i] < 0 ? 0 : x.in[0][i];
      x.out[1][i] = -x.out[0][i];
    }
  }
  static std::vector<Case> cases() {
    const CrossEntropySamples n;
    return {{Attrs{}, {n.tokens, n.targets}, {Fill::normal, Fill::targets}, 12, {0}}};
  }
};

struct TokenLoss {
  static constexpr std::string_view name = "token_loss";
  struct Attrs : NoAttrs {};
  // lse, target logit, targets [b s] -> -log p(target), 0 where there is no target
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 1); }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t) { return {{0, 1}}; }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) {
    const auto d = apply_all<TokenLossGrad>(c.graph, {}, {*c.dout[0], c.in[2]});
    return {d[0], d[1], NotDifferentiable{"targets are whole numbers"}};
  }
  static void reference(const Attrs&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.out[0].size(); ++i)
      x.out[0][i] = x.in[2][i] < 0 ? 0 : x.in[0][i] - x.in[1][i];
  }
  static std::vector<Case> cases() {
    const CrossEntropySamples n;
    return {{Attrs{},
             {n.tokens, n.tokens, n.targets},
             {Fill::normal, Fill::normal, Fill::targets},
             12,
             {0, 1}}};
  }
};

struct LinearCrossEntropy {
  static constexpr std::string_view name = "linear_cross_entropy";
  struct Attrs {
    DType out = DType::f32;   // of dw
    bool accumulate = false;  // dw is added into a fifth input
    static constexpr auto fields() {
      return std::tuple{field("out", &Attrs::out), field("accumulate", &Attrs::accumulate)};
    }
  };
  // x [b s e], w [v e], targets [b s], d_loss [b s], (accumulator [v e])
  //   -> loss [b s], dx [b s e], dw [v e]
  static DimRule rule(const Attrs& a, Types) {
    return dim_rule(a.accumulate ? "b s [e], [v] [e], b s, b s, [v] [e] -> b s, b s [e], [v] [e]"
                                 : "b s [e], [v] [e], b s, b s -> b s, b s [e], [v] [e]",
                    6);
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types in) {
    return {accumulate_dtype(in[0].dtype), in[0].dtype, a.out};
  }
  static std::vector<int> aliases(const Attrs& a, std::size_t) {
    return a.accumulate ? std::vector<int>{-1, -1, 4} : std::vector<int>{};
  }
  static std::optional<Attrs> accumulating(const Attrs& a, int output) {
    if (a.accumulate || output != 2) return std::nullopt;
    return Attrs{a.out, true};
  }
  static constexpr std::string_view not_differentiable = "it already makes its gradients";
  static void reference(const Attrs& a, const HostArgs& x) {
    for (double& v : x.out[1]) v = 0;
    for (std::size_t i = 0; i < x.out[2].size(); ++i) x.out[2][i] = a.accumulate ? x.in[4][i] : 0;
    each_token_logits(x, [&](std::size_t t, std::int64_t target, std::vector<double>& logits) {
      const double lse = log_sum_exp(logits);
      x.out[0][t] = target < 0 ? 0 : lse - logits[std::size_t(target)];
      for (std::size_t i = 0; i < logits.size(); ++i)
        logits[i] =
            target < 0 ? 0 : x.in[3][t] * (std::exp(logits[i] - lse) - (std::int64_t(i) == target));
      add_logit_grads(x, t, logits, x.out[1], x.out[2]);
    });
  }
  static std::vector<Case> cases() {
    const CrossEntropySamples n;
    const std::vector<Fill> fill = {Fill::normal, Fill::normal, Fill::targets};
    return {{Attrs{}, {n.x, n.w, n.targets, n.tokens}, fill, 12, {3}},
            {Attrs{DType::f32, true}, {n.x, n.w, n.targets, n.tokens, n.w}, fill, 12, {3}}};
  }
};

}  // namespace autarky
