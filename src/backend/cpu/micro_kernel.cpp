#include "backend/cpu/micro_kernel.h"

#include "backend/cpu/cpu_info.h"
#include "base/error.h"

// Vectors of unknown length cannot be held in arrays: those chips run the NEON code.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/micro_kernel.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::ScalableTag<float> kTag;
using Vector = hn::Vec<decltype(kTag)>;
constexpr int kLanes = int(hn::MaxLanes(kTag));
constexpr int kVectors = 2;                             // of a panel of B
constexpr int kRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;  // 32 or 16 registers
constexpr int kFewPanels = 4;

template <int kR, int kPanels, bool kStrided = false>
HWY_INLINE void multiply(const MicroTile& t) {
  constexpr int kV = kVectors * kPanels;
  Vector sum[kR][kV];
#pragma GCC unroll 16
  for (int i = 0; i < kR; ++i)
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) sum[i][v] = hn::Zero(kTag);
  for (int i = 0; i < kR; ++i)  // C comes from far: ask for it now
    for (int p = 0; p < kPanels; ++p) {
      hwy::Prefetch(t.c + i * t.ld + p * kVectors * kLanes);
      hwy::Prefetch(t.c + i * t.ld + (p + 1) * kVectors * kLanes - 1);
    }
  const float* HWY_RESTRICT a = t.a;
  const float* HWY_RESTRICT b = t.b;
  const std::int64_t depth = t.depth, a_row = kStrided ? t.a_row : 1,
                     a_k = kStrided ? t.a_k : kRows;
#pragma GCC unroll 4  // fewer instructions besides the multiply-adds: counts on shared cores
  for (std::int64_t k = 0; k < depth; ++k, a += a_k, b += kVectors * kLanes) {
    Vector right[kV];
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v)
      right[v] = hn::Load(kTag, b + (v / kVectors) * t.b_stride + (v % kVectors) * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kR; ++i) {
      const Vector left = hn::Set(kTag, a[i * a_row]);
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) sum[i][v] = hn::MulAdd(left, right[v], sum[i][v]);
    }
  }
  float* HWY_RESTRICT c = t.c;
  const std::int64_t ld = t.ld;
  if (t.accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < kR; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v)
        sum[i][v] = hn::Add(hn::LoadU(kTag, c + i * ld + v * kLanes), sum[i][v]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kR; ++i)
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) hn::StoreU(sum[i][v], kTag, c + i * ld + v * kLanes);
}

template <bool kStrided, int kR = kRows>
void run(const MicroTile& t, int rows) {
  if constexpr (kR > 1) {
    if (rows < kR) return run<kStrided, kR - 1>(t, rows);
  }
  multiply<kR, 1, kStrided>(t);
}

void run_few(const MicroTile& t, int rows) {
  if (rows == 1) return multiply<1, kFewPanels>(t);
  MicroTile half = t;
  for (int i = 0; i < kFewPanels; i += 2) {
    multiply<2, 2>(half);
    half.b += 2 * t.b_stride;
    half.c += 2 * kVectors * kLanes;
  }
}

MicroKernel f32_micro_kernel() {
  return {kRows, kVectors * kLanes, kFewPanels, &run<false>, &run<true>, &run_few};
}

}  // namespace
}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(f32_micro_kernel);

const MicroKernel& micro_kernel(Product product) {
  isa();  // applies AUTARKY_MAX_ISA before the first choice
  static const MicroKernel f32 = HWY_DYNAMIC_DISPATCH(f32_micro_kernel)();
  static const MicroKernel bf16 = bf16_micro_kernel();
  AUTARKY_CHECK(product == Product::f32 || bf16.rows > 0, "this chip has no bf16 products");
  return product == Product::f32 ? f32 : bf16;
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
