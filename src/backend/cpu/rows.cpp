#include "backend/cpu/rows.h"

#include "backend/cpu/pieces.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

void widen_into(const void* in, DType dtype, std::int64_t n, float* out) {
  with_storage(dtype, [&](auto element) HWY_ATTR {
    const auto* from = static_cast<const decltype(element)*>(in);
    each_vector(
        n, [&](std::int64_t i, auto part) HWY_ATTR { store(load(from + i, part), out + i, part); });
  });
}

void accumulate_into(const void* in, DType dtype, std::int64_t n, float* out) {
  with_storage(dtype, [&](auto element) HWY_ATTR {
    const auto* from = static_cast<const decltype(element)*>(in);
    each_vector(n, [&](std::int64_t i, auto part) HWY_ATTR {
      store(hn::Add(load(out + i, part), load(from + i, part)), out + i, part);
    });
  });
}

// Columns [0, n) of rows that are `stride` apart.
void sum_columns(const float* partials, std::int64_t count, std::int64_t stride, std::int64_t n,
                 DType dtype, void* out) {
  with_storage(dtype, [&](auto element) HWY_ATTR {
    auto* to = static_cast<decltype(element)*>(out);
    each_vector(n, [&](std::int64_t j, auto part) HWY_ATTR {
      Floats sum = hn::Zero(kFloats);
      for (std::int64_t i = 0; i < count; ++i)
        sum = hn::Add(sum, load(partials + i * stride + j, part));
      store(sum, to + j, part);
    });
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(widen_into);
HWY_EXPORT(accumulate_into);
HWY_EXPORT(sum_columns);

void widen_row(const void* in, DType dtype, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(widen_into)(in, dtype, n, out);
}

void accumulate_row(const void* in, DType dtype, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(accumulate_into)(in, dtype, n, out);
}

void sum_partials(const float* partials, std::int64_t count, std::int64_t n, const Tensor& out) {
  const DType dtype = out.dtype();
  parallel_ranges(n, 256, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sum_columns)
    (partials + begin, count, n, end - begin, dtype, out.data + begin * byte_size(dtype));
  });
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
