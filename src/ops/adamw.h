// clip_scale and adamw: the optimizer's step.
#pragma once
#include "ops/exact_sum.h"

namespace autarky {

// What the host tells the optimizer for a step, by index: a value "hyper" [h].
struct Hyper {
  static constexpr int lr = 0;
  static constexpr int correction1 = 1;  // 1 - beta1^t of AdamW's update t
  static constexpr int correction2 = 2;
  static constexpr int norm_limit = 3;  // a gradient longer than this is not taken; 0: any is
  static constexpr int loss_limit = 4;  // nor one of a greater loss (the step's sum); 0: any is
  static constexpr int kCount = 5;
};

struct ClipScale {
  static constexpr std::string_view name = "clip_scale";
  struct Attrs {
    double max_norm = 1;  // 0: no clipping
    DType out = DType::f32;
    static constexpr auto fields() {
      return std::tuple{field("max_norm", &Attrs::max_norm), field("out", &Attrs::out)};
    }
  };
  // digits [z] of the gradients' squared norm, of the loss; hyper [h] -> [y]: factor for the
  // gradients, norm. A norm or loss that is not finite, or above hyper's limit, gives factor NaN,
  // which adamw takes as "skip".
  static DimRule rule(const Attrs&, Types) {
    DimRule r = dim_rule("[z], [z], [h] -> [y]", 1);
    r.given['y'] = 2;
    return r;
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types) { return {a.out}; }
  static constexpr std::string_view not_differentiable = "it belongs to the optimizer's side";
  using DigitsIn = std::span<const std::int64_t, Digits::kCount>;
  static void compute(const Attrs& a, DigitsIn squares, DigitsIn loss_digits, double norm_limit,
                      double loss_limit, double& factor, double& norm) {
    const double loss = Digits::value(loss_digits);
    const auto bad = [](double v, double limit) {
      return std::isnan(v) || (limit != 0 && v > limit);
    };
    norm = std::sqrt(Digits::value(squares));
    if (bad(norm, norm_limit) || bad(loss, loss_limit))
      factor = std::numeric_limits<double>::quiet_NaN();
    else factor = a.max_norm > 0 && norm > a.max_norm ? a.max_norm / norm : 1;
  }
  static void reference(const Attrs& a, const HostArgs& x) {
    std::array<std::int64_t, Digits::kCount> squares, loss;
    for (std::size_t i = 0; i < squares.size(); ++i) {
      squares[i] = std::int64_t(x.in[0][i]);
      loss[i] = std::int64_t(x.in[1][i]);
    }
    compute(a, squares, loss, x.in[2][Hyper::norm_limit], x.in[2][Hyper::loss_limit], x.out[0][0],
            x.out[0][1]);
  }
  static std::vector<Case> cases() {
    const Type digits(DType::i64, {{'z', Digits::kCount}}), hyper = sample({{'h', Hyper::kCount}});
    // One row's segments are zeros: no limit. In the other case the norm is above it.
    const std::vector<Type> in = {digits, digits, hyper};
    return {{Attrs{}, in, {Fill::ids, Fill::ids, Fill::segments}, 1000, {2}},
            {Attrs{}, in, {Fill::ids, Fill::ids, Fill::positive}, 1000, {2}}};
  }
};

// AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019).
struct AdamW {
  static constexpr std::string_view name = "adamw";
  struct Attrs {
    double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0;
    DType copy = DType::f32;  // of the copy that the products read, if it is not the master's
    static constexpr auto fields() {
      return std::tuple{field("beta1", &Attrs::beta1), field("beta2", &Attrs::beta2),
                        field("eps", &Attrs::eps), field("weight_decay", &Attrs::weight_decay),
                        field("copy", &Attrs::copy)};
    }
  };
  // w, gradient, m, v [..], hyper [h], clip [y]: clip_scale's
  //   -> w', m', v' in place, and a copy of w' in another element type
  static DimRule rule(const Attrs& a, Types in) {
    const std::string x = dim_names(in[0]);
    std::string text =
        x + ", " + x + ", " + x + ", " + x + ", [h], [y] -> " + x + ", " + x + ", " + x;
    if (a.copy != in[0].dtype) text += ", " + x;
    return dim_rule(text, 0);
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types in) {
    std::vector<DType> out = {in[0].dtype, in[2].dtype, in[3].dtype};
    if (a.copy != in[0].dtype) out.push_back(a.copy);
    return out;
  }
  static std::vector<int> aliases(const Attrs&, std::size_t) { return {0, 2, 3, -1}; }
  static constexpr std::string_view not_differentiable = "it belongs to the optimizer's side";
  static Cost cost(const Attrs&, Types in, Types out) {
    double bytes = 0;
    for (const auto& t : in) bytes += double(t.bytes());
    for (const auto& t : out) bytes += double(t.bytes());
    return {14 * double(in[0].elements()), bytes};
  }
  // g' = clip g; w -= lr decay w; m = b1 m + (1-b1) g'; v = b2 v + (1-b2) g'^2;
  // w -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
  static void reference(const Attrs& a, const HostArgs& x) {
    const double lr = x.in[4][Hyper::lr], c1 = x.in[4][Hyper::correction1],
                 c2 = x.in[4][Hyper::correction2], clip = x.in[5][0];
    for (std::size_t i = 0; i < x.out[0].size(); ++i) {
      double w = x.in[0][i], m = x.in[2][i], v = x.in[3][i];
      if (!std::isnan(clip)) {
        const double g = clip * x.in[1][i];
        m = a.beta1 * m + (1 - a.beta1) * g;
        v = a.beta2 * v + (1 - a.beta2) * g * g;
        w -= lr * a.weight_decay * w;
        w -= lr * (m / c1) / (std::sqrt(v / c2) + a.eps);
      }
      x.out[0][i] = w;
      x.out[1][i] = m;
      x.out[2][i] = v;
      if (x.out.size() > 3) x.out[3][i] = w;
    }
  }
  static std::vector<Case> cases() {
    const Type w = sample({{'f', 6}, {'e', 20}});
    const std::vector<Fill> fill = {Fill::normal,   Fill::normal,   Fill::normal,
                                    Fill::positive, Fill::positive, Fill::positive};
    const std::vector<int> all = {0, 1, 2, 3, 4, 5};
    return {{Attrs{0.9, 0.95, 1e-4, 0.1},
             {w, w, w, w, sample({{'h', Hyper::kCount}}), sample({{'y', 2}})},
             fill,
             0,
             all},
            {Attrs{0.9, 0.95, 1e-4, 0.1, DType::bf16},
             {w, w, w, w, sample({{'h', Hyper::kCount}}), sample({{'y', 2}})},
             fill,
             0,
             all}};
  }
};

}  // namespace autarky
