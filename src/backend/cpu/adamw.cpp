// clip_scale and adamw; adamw reads and writes each array once.
#include "ops/adamw.h"

#include "backend/cpu/adam_step.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/supports.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/adamw.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

template <class G, class Copy>
HWY_INLINE void adam(const Piece& p, const AdamStep& a, Copy* copy) {
  const G* gradient = p.input<G>(1);
  const float *w0 = p.input<float>(0), *m0 = p.input<float>(2), *v0 = p.input<float>(3);
  float *w1 = p.output<float>(0), *m1 = p.output<float>(1), *v1 = p.output<float>(2);
  each_vector(p.n, [&](std::int64_t i, auto part) HWY_ATTR {
    const Floats g = hn::Mul(load(gradient + i, part), all(a.clip));
    const Floats m = hn::MulAdd(all(a.rest1), g, hn::Mul(all(a.beta1), load(m0 + i, part)));
    const Floats v =
        hn::MulAdd(all(a.rest2), hn::Mul(g, g), hn::Mul(all(a.beta2), load(v0 + i, part)));
    const Floats scale = hn::Add(hn::Sqrt(hn::Mul(v, all(a.inverse2))), all(a.eps));
    const Floats w =
        hn::NegMulAdd(all(a.step), hn::Div(m, scale), hn::Mul(all(a.keep), load(w0 + i, part)));
    store(w, w1 + i, part);
    store(m, m1 + i, part);
    store(v, v1 + i, part);
    if (copy) store(w, copy + i, part);
  });
}

// The copy, where there is one, is bf16.
void adam_piece(const Piece& p, const AdamStep& a) {
  with_storage(p.in[1].dtype(), [&](auto element) HWY_ATTR {
    adam<decltype(element)>(p, a, p.out.size() > 3 ? p.output<bf16>(3) : nullptr);
  });
}

void copy_piece(const Piece& p) {
  const float* w = p.input<float>(0);
  bf16* copy = p.output<bf16>(3);
  each_vector(
      p.n, [&](std::int64_t i, auto part) HWY_ATTR { store(load(w + i, part), copy + i, part); });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(adam_piece);
HWY_EXPORT(copy_piece);

namespace {

void launch_clip_scale(const ClipScale::Attrs& a, const KernelArgs& x) {
  const auto digits = [&](std::size_t i) {
    return ClipScale::DigitsIn(x.in[i].as<const std::int64_t>(), Digits::kCount);
  };
  const auto* hyper = x.in[2].as<const float>();
  double factor = 0, norm = 0;
  ClipScale::compute(a, digits(0), digits(1), hyper[Hyper::norm_limit], hyper[Hyper::loss_limit],
                     factor, norm);
  x.out[0].as<float>()[0] = float(factor);
  x.out[0].as<float>()[1] = float(norm);
}

void launch_adamw(const AdamW::Attrs& a, const KernelArgs& x) {
  const float *hyper = x.in[4].as<const float>(), clip = *x.in[5].as<const float>();
  if (!std::isfinite(clip)) {  // skip: w, m, v stay as they are, in place
    if (x.out.size() > 3)
      parallel_pieces(x, [](const Piece& p) { HWY_DYNAMIC_DISPATCH(copy_piece)(p); });
    return;
  }
  const AdamStep step{clip,
                      float(a.beta1),
                      float(1 - a.beta1),
                      float(a.beta2),
                      float(1 - a.beta2),
                      float(1 - double(hyper[Hyper::lr]) * a.weight_decay),
                      float(double(hyper[Hyper::lr]) / hyper[Hyper::correction1]),
                      float(1 / double(hyper[Hyper::correction2])),
                      float(a.eps)};
  parallel_pieces(x, [&](const Piece& p) { HWY_DYNAMIC_DISPATCH(adam_piece)(p, step); });
}

Support supports_adamw(const AdamW::Attrs&, Types in, Types out) {
  return first_refusal({wants(in[0], DType::f32, "w"), wants_storage(in[1], "the gradient"),
                        wants(in[2], DType::f32, "m"), wants(in[3], DType::f32, "v"),
                        wants(in[4], DType::f32, "the learning rate"),
                        wants(in[5], DType::f32, "the clip factor"),
                        out.size() > 3 ? wants(out[3], DType::bf16, "the copy") : Support{}});
}

}  // namespace

void add_adamw_kernels(KernelTable& table) {
  table.add<ClipScale>(TypedKernel<ClipScale>{
      "loops",
      [](const auto&, Types in, Types out) {
        return first_refusal(
            {wants(in[0], DType::i64, "digits"), wants(in[1], DType::i64, "digits"),
             wants(in[2], DType::f32, "the limits"), wants(out[0], DType::f32, "the result")});
      },
      launch_clip_scale,
      {}});
  table.add<AdamW>(TypedKernel<AdamW>{"simd", supports_adamw, launch_adamw, {}});
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
