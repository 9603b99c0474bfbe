#include "backend/cpu/convert.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/convert.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// after foreach_target
#include "backend/cpu/bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class In, class Out>
HWY_INLINE void convert(const In* in, std::int64_t n, Out* out) {
  const hn::ScalableTag<float> floats;
  const std::int64_t lanes = std::int64_t(hn::Lanes(floats));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store_floats(floats, load_floats(floats, in + i), out + i);
  for (; i < n; ++i) out[i] = Out(float(in[i]));
}

void round_row(const float* in, std::int64_t n, bf16* out) { convert(in, n, out); }
void widen_row(const bf16* in, std::int64_t n, float* out) { convert(in, n, out); }

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
HWY_EXPORT(widen_row);
HWY_EXPORT(add);

void store_row(const float* in, std::int64_t n, DType dtype, void* out) {
  if (n == 0) return;  // memcpy takes no null pointer, not even for nothing
  if (dtype == DType::f32) std::memcpy(out, in, std::size_t(n) * sizeof(float));
  else HWY_DYNAMIC_DISPATCH(round_row)(in, n, static_cast<bf16*>(out));
}

void widen(const void* in, DType dtype, std::int64_t n, float* out) {
  if (n == 0) return;  // memcpy takes no null pointer, not even for nothing
  if (dtype == DType::f32) std::memcpy(out, in, std::size_t(n) * sizeof(float));
  else HWY_DYNAMIC_DISPATCH(widen_row)(static_cast<const bf16*>(in), n, out);
}

void add_row(const float* in, std::int64_t n, float* out) { HWY_DYNAMIC_DISPATCH(add)(in, n, out); }

Operand copy_lines(const Operand& x, std::int64_t rows, std::int64_t cols, std::int64_t gap,
                   float* memory) {
  const bool by_rows = x.col_stride == 1;
  const std::int64_t lines = by_rows ? rows : cols, length = by_rows ? cols : rows;
  const std::int64_t stride = length + gap;
  for (std::int64_t i = 0; i < lines; ++i)
    widen(by_rows ? x.from(i, 0).data : x.from(0, i).data, x.dtype, length, memory + i * stride);
  return {memory, DType::f32, by_rows ? stride : 1, by_rows ? 1 : stride};
}

Operand as_dtype(const Operand& x, DType dtype, std::int64_t rows, std::int64_t cols,
                 float* memory) {
  return x.dtype == dtype ? x : copy_lines(x, rows, cols, 0, memory);
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
