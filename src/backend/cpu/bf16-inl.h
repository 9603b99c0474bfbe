// bf16 in Highway code: widened on the way in, rounded to nearest even on the
// way out (NaN stays NaN). Highway 1.0's own demotion truncates. Included once
// for every instruction set.
#if defined(AUTARKY_BACKEND_CPU_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AUTARKY_BACKEND_CPU_BF16_INL_H_
#undef AUTARKY_BACKEND_CPU_BF16_INL_H_
#else
#define AUTARKY_BACKEND_CPU_BF16_INL_H_
#endif

#include "base/dtype.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> load_floats(D floats, const float* p) {
  return hwy::HWY_NAMESPACE::LoadU(floats, p);
}
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> load_floats(D floats, const bf16* p) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::Rebind<std::uint16_t, D> halves;
  const hn::RebindToUnsigned<D> words;
  const auto bits = hn::LoadU(halves, reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(floats, hn::ShiftLeft<16>(hn::PromoteTo(words, bits)));
}

template <class D>
HWY_INLINE void store_floats(D floats, hwy::HWY_NAMESPACE::Vec<D> x, float* p) {
  hwy::HWY_NAMESPACE::StoreU(x, floats, p);
}
template <class D>
HWY_INLINE void store_floats(D, hwy::HWY_NAMESPACE::Vec<D> x, bf16* p) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::Rebind<std::uint16_t, D> halves;
  const hn::RebindToUnsigned<D> words;
  const auto bits = hn::BitCast(words, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(words, 0x7fff)));
  const auto magnitude = hn::And(bits, hn::Set(words, 0x7fffffffu));
  const auto nan = hn::Gt(magnitude, hn::Set(words, 0x7f800000u));
  const auto out = hn::IfThenElse(nan, hn::Or(bits, hn::Set(words, 0x400000u)), rounded);
  hn::StoreU(hn::TruncateTo(halves, hn::ShiftRight<16>(out)), halves,
             reinterpret_cast<std::uint16_t*>(p));
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // toggle
