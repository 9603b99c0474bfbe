// rope: cosines and sines once per token, shared by its heads.
#include "ops/rope.h"

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/rope_limits.h"
#include "backend/cpu/supports.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rope.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

constexpr hn::ScalableTag<double> kDoubles;
constexpr hn::Rebind<float, hn::ScalableTag<double>> kFewFloats;
using FewFloats = hn::Vec<hn::Rebind<float, hn::ScalableTag<double>>>;

// cos and sin of r + quarter turns, |r| <= pi/4; series to r^9 and r^8, error below 1e-7.
HWY_INLINE void cos_sin(FewFloats r, FewFloats turns, float* cosine, float* sine) {
  const auto f = kFewFloats;
  const FewFloats r2 = hn::Mul(r, r);
  FewFloats s = hn::MulAdd(hn::Set(f, 1.0f / 362880), r2, hn::Set(f, -1.0f / 5040));
  s = hn::MulAdd(hn::MulAdd(s, r2, hn::Set(f, 1.0f / 120)), r2, hn::Set(f, -1.0f / 6));
  s = hn::MulAdd(hn::Mul(s, r2), r, r);
  FewFloats c = hn::MulAdd(hn::Set(f, 1.0f / 40320), r2, hn::Set(f, -1.0f / 720));
  c = hn::MulAdd(hn::MulAdd(c, r2, hn::Set(f, 1.0f / 24)), r2, hn::Set(f, -0.5f));
  c = hn::MulAdd(c, r2, hn::Set(f, 1.0f));
  const auto one = hn::Eq(turns, hn::Set(f, 1)), two = hn::Eq(turns, hn::Set(f, 2));
  const auto three = hn::Eq(turns, hn::Set(f, 3)), odd = hn::Or(one, three);
  const FewFloats x = hn::IfThenElse(odd, s, c), y = hn::IfThenElse(odd, c, s);
  hn::StoreU(hn::IfThenElse(hn::Or(one, two), hn::Neg(x), x), f, cosine);
  hn::StoreU(hn::IfThenElse(hn::Or(two, three), hn::Neg(y), y), f, sine);
}

// cosine[i], sine[i] of position * frequency[i], reduced in f64. The arrays hold a vector more.
void angles(double position, const float* frequency, std::int64_t half, float* cosine,
            float* sine) {
  const std::int64_t step = std::int64_t(hn::Lanes(kDoubles));
  for (std::int64_t i = 0; i < half; i += step) {
    float some[hn::MaxLanes(kFewFloats)] = {};
    std::memcpy(some, frequency + i, std::size_t(std::min(step, half - i)) * sizeof(float));
    const auto angle =
        hn::Mul(hn::PromoteTo(kDoubles, hn::LoadU(kFewFloats, some)), hn::Set(kDoubles, position));
    const auto turns = hn::Round(hn::Mul(angle, hn::Set(kDoubles, 0.63661977236758134)));
    auto rest = hn::NegMulAdd(turns, hn::Set(kDoubles, 1.5707963267948966), angle);
    rest = hn::NegMulAdd(turns, hn::Set(kDoubles, 6.123233995736766e-17), rest);
    const auto quarter = hn::NegMulAdd(hn::Floor(hn::Mul(turns, hn::Set(kDoubles, 0.25))),
                                       hn::Set(kDoubles, 4), turns);
    cos_sin(hn::DemoteTo(kFewFloats, rest), hn::DemoteTo(kFewFloats, quarter), cosine + i,
            sine + i);
  }
}

// (u, w) -> (u cos - w sin, w cos + u sin); the scale is in cos and sin.
template <class T>
HWY_INLINE void rotate(const T* x, std::int64_t half, const float* cosine, const float* sine,
                       T* out) {
  each_vector(half, [&](std::int64_t i, auto part) HWY_ATTR {
    const Floats u = load(x + i, part), w = load(x + half + i, part);
    const Floats c = load(cosine + i, part), s = load(sine + i, part);
    store(hn::NegMulAdd(w, s, hn::Mul(u, c)), out + i, part);
    store(hn::MulAdd(u, s, hn::Mul(w, c)), out + half + i, part);
  });
}

// Tokens [begin, end).
void rope_tokens(const KernelArgs& args, const Rope::Attrs& a, std::int64_t begin,
                 std::int64_t end) {
  const std::int64_t d = args.in[0].type->dims.back().extent, half = d / 2;
  const std::int64_t heads = args.in[0].elements() / d / args.in[1].elements();
  float cosine[kMaxHalf + hn::MaxLanes(kFloats)], sine[kMaxHalf + hn::MaxLanes(kFloats)];
  with_storage(args.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    for (std::int64_t token = begin; token < end; ++token) {
      angles(args.in[1].as<const std::int32_t>()[token], args.in[2].as<const float>(), half, cosine,
             sine);
      for (std::int64_t i = 0; i < half; ++i) {
        cosine[i] *= float(a.scale);
        sine[i] *= float(a.inverse ? -a.scale : a.scale);
      }
      for (std::int64_t row = token * heads; row < (token + 1) * heads; ++row)
        rotate(args.in[0].as<const T>() + row * d, half, cosine, sine,
               args.out[0].as<T>() + row * d);
    }
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(rope_tokens);

namespace {

Support supports_rope(const Rope::Attrs&, Types in, Types) {
  const std::int64_t half = in[0].dims.back().extent / 2;
  return first_refusal({wants_storage(in[0], "x"), wants(in[1], DType::i32, "the positions"),
                        wants(in[2], DType::f32, "the frequencies"),
                        unless(half > kMaxHalf, "a head is larger than 512")});
}

void launch_rope(const Rope::Attrs& a, const KernelArgs& args) {
  const std::int64_t tokens = args.in[1].elements();
  if (tokens == 0) return;
  parallel_ranges(tokens, rows_per_piece(args.in[0].elements() / tokens),
                  [&](std::int64_t begin, std::int64_t end) {
                    HWY_DYNAMIC_DISPATCH(rope_tokens)(args, a, begin, end);
                  });
}

}  // namespace

void add_rope_kernels(KernelTable& table) {
  table.add<Rope>(TypedKernel<Rope>{"simd", supports_rope, launch_rope, {}});
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
