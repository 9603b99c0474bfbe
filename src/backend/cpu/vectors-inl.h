// Vectors of f32 over f32 or bf16 memory, for every instruction set (include after highway.h, in a
// file of foreach_target). bf16 widens exactly and is stored rounded to nearest even.
#include <cstdint>
#include <cstring>

#include "base/dtype.h"

// Highway's guard: this file is read once for each instruction set.
#if defined(AUTARKY_BACKEND_CPU_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AUTARKY_BACKEND_CPU_VECTORS_INL_H_
#undef AUTARKY_BACKEND_CPU_VECTORS_INL_H_
#else
#define AUTARKY_BACKEND_CPU_VECTORS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::ScalableTag<float> kFloats;
constexpr hn::RebindToSigned<hn::ScalableTag<float>> kInts;
constexpr hn::RebindToUnsigned<hn::ScalableTag<float>> kWords;
constexpr hn::Rebind<std::uint16_t, hn::ScalableTag<float>> kHalves;
using Floats = hn::Vec<hn::ScalableTag<float>>;
HWY_INLINE std::int64_t lanes() { return std::int64_t(hn::Lanes(kFloats)); }
HWY_INLINE Floats all(float x) { return hn::Set(kFloats, x); }

// How much of a vector lies in memory: all of it, or the first n lanes (the rest loads as zeros).
struct Whole {};
struct Part {
  std::size_t n;
};

HWY_INLINE Floats load(const float* p) { return hn::LoadU(kFloats, p); }
HWY_INLINE Floats load(const bf16* p) {
  const auto bits = hn::LoadU(kHalves, reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(hn::PromoteTo(kWords, bits)));
}
HWY_INLINE void store(Floats x, float* p) { hn::StoreU(x, kFloats, p); }
HWY_INLINE void store(Floats x, bf16* p) {
  const auto word = hn::BitCast(kWords, x);
  const auto odd = hn::And(hn::ShiftRight<16>(word), hn::Set(kWords, 1));
  const auto rounded = hn::Add(word, hn::Add(odd, hn::Set(kWords, 0x7fff)));
  const auto quiet = hn::Or(word, hn::Set(kWords, 0x400000u));  // rounding could end a NaN
  const auto bits = hn::IfThenElse(hn::RebindMask(kWords, hn::IsNaN(x)), quiet, rounded);
  hn::StoreU(hn::TruncateTo(kHalves, hn::ShiftRight<16>(bits)), kHalves,
             reinterpret_cast<std::uint16_t*>(p));
}

template <class T>
HWY_INLINE Floats load(const T* p, Whole) {
  return load(p);
}
template <class T>
HWY_INLINE Floats load(const T* p, Part part) {
  T padded[hn::MaxLanes(kFloats)] = {};
  std::memcpy(static_cast<void*>(padded), p, part.n * sizeof(T));
  return load(padded);
}
template <class T>
HWY_INLINE void store(Floats x, T* p, Whole) {
  store(x, p);
}
template <class T>
HWY_INLINE void store(Floats x, T* p, Part part) {
  T padded[hn::MaxLanes(kFloats)];
  store(x, padded);
  std::memcpy(static_cast<void*>(p), padded, part.n * sizeof(T));
}
// Zero in the lanes that do not lie in memory.
HWY_INLINE Floats keep(Floats x, Whole) { return x; }
HWY_INLINE Floats keep(Floats x, Part part) {
  return hn::IfThenElseZero(hn::FirstN(kFloats, part.n), x);
}

// body(i, Whole) for every vector of n elements, body(i, Part) for what is left.
template <class Body>
HWY_INLINE void each_vector(std::int64_t n, const Body& body) {
  std::int64_t i = 0;
  for (; i + lanes() <= n; i += lanes()) body(i, Whole{});
  if (i < n) body(i, Part{std::size_t(n - i)});
}

HWY_INLINE float sum_of(Floats x) { return hn::GetLane(hn::SumOfLanes(kFloats, x)); }

// body(T()) with T the type of the elements: float or bf16.
template <class Body>
HWY_INLINE void with_storage(DType dtype, const Body& body) {
  if (dtype == DType::f32) body(float());
  else body(bf16());
}

// e^x, relative error below 1.5e-7; 0 below -87, e^88 above 88, NaN of NaN.
// x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its series to r^7 / 7!, 2^n by the exponent's bits.
HWY_INLINE Floats exp(Floats x) {
  const Floats inside = hn::Min(all(88.0f), hn::Max(all(-87.0f), x));
  const Floats n = hn::Round(hn::Mul(inside, all(1.44269504f)));
  const Floats r =
      hn::NegMulAdd(n, all(-2.12194440e-4f), hn::NegMulAdd(n, all(0.693359375f), inside));
  Floats p = all(1.0f / 5040);
  p = hn::MulAdd(p, r, all(1.0f / 720));
  p = hn::MulAdd(p, r, all(1.0f / 120));
  p = hn::MulAdd(p, r, all(1.0f / 24));
  p = hn::MulAdd(p, r, all(1.0f / 6));
  p = hn::MulAdd(p, r, all(0.5f));
  p = hn::MulAdd(p, r, all(1.0f));
  p = hn::MulAdd(p, r, all(1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(kInts, n));
  const Floats result = hn::BitCast(kFloats, hn::Add(hn::BitCast(kInts, p), exponent));
  return hn::IfThenZeroElse(hn::Lt(x, all(-87.0f)), result);
}

// 1 / (1 + e^-x)
HWY_INLINE Floats sigmoid(Floats x) { return hn::Div(all(1), hn::Add(all(1), exp(hn::Neg(x)))); }

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard
