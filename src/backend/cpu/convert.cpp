#include "backend/cpu/convert.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/convert.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

void round_row(const float* in, std::int64_t n, bf16* out) {
  const hn::ScalableTag<float> floats;
  const hn::RebindToUnsigned<decltype(floats)> words;
  const hn::Rebind<std::uint16_t, decltype(floats)> halves;
  const std::int64_t lanes = std::int64_t(hn::Lanes(floats));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::BitCast(words, hn::LoadU(floats, in + i));
    const auto odd = hn::And(hn::ShiftRight<16>(x), hn::Set(words, 1));
    const auto rounded = hn::Add(x, hn::Add(odd, hn::Set(words, 0x7fff)));
    const auto magnitude = hn::And(x, hn::Set(words, 0x7fffffffu));
    const auto nan = hn::Gt(magnitude, hn::Set(words, 0x7f800000u));
    const auto bits = hn::IfThenElse(nan, hn::Or(x, hn::Set(words, 0x400000u)), rounded);
    hn::StoreU(hn::TruncateTo(halves, hn::ShiftRight<16>(bits)), halves,
               reinterpret_cast<std::uint16_t*>(out + i));
  }
  for (; i < n; ++i) out[i] = bf16(in[i]);
}

void add(const float* in, std::int64_t n, float* out) {
  const hn::ScalableTag<float> floats;
  const std::int64_t lanes = std::int64_t(hn::Lanes(floats));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::Add(hn::LoadU(floats, out + i), hn::LoadU(floats, in + i)), floats, out + i);
  for (; i < n; ++i) out[i] += in[i];
}

}  // namespace
}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(round_row);
HWY_EXPORT(add);

void store_row(const float* in, std::int64_t n, DType dtype, void* out) {
  if (dtype == DType::f32) std::memcpy(out, in, std::size_t(n) * sizeof(float));
  else HWY_DYNAMIC_DISPATCH(round_row)(in, n, static_cast<bf16*>(out));
}

void add_row(const float* in, std::int64_t n, float* out) { HWY_DYNAMIC_DISPATCH(add)(in, n, out); }

}  // namespace autarky::cpu
#endif  // HWY_ONCE
