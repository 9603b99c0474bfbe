// vdpbf16ps by its intrinsic: Highway 1.0 has no target with AVX-512-BF16.
#include "backend/cpu/cpu_info.h"
#include "backend/cpu/micro_kernel.h"

#ifdef __x86_64__
#include <immintrin.h>

namespace autarky::cpu {
namespace {

constexpr int kRows = 12, kLanes = 16, kVectors = 2, kFewPanels = 4;

template <int kR, int kPanels>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void multiply(const MicroTile& t) {
  constexpr int kV = kVectors * kPanels;
  __m512 sum[kR][kV];
#pragma GCC unroll 16
  for (int i = 0; i < kR; ++i)
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) sum[i][v] = _mm512_setzero_ps();
  const float* a = t.a;
  const float* b = t.b;
#pragma GCC unroll 4
  for (std::int64_t k = 0; k < t.depth; ++k, a += kRows, b += kVectors * kLanes) {
    __m512bh right[kV];
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v)
      right[v] =
          (__m512bh)_mm512_loadu_ps(b + (v / kVectors) * t.b_stride + (v % kVectors) * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kR; ++i) {
      const __m512bh left = (__m512bh)_mm512_set1_ps(a[i]);  // one pair of bf16, 16 times
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) sum[i][v] = _mm512_dpbf16_ps(sum[i][v], left, right[v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kR; ++i)
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) {
      float* c = t.c + i * t.ld + v * kLanes;
      if (t.accumulate) sum[i][v] = _mm512_add_ps(_mm512_loadu_ps(c), sum[i][v]);
      _mm512_storeu_ps(c, sum[i][v]);
    }
}

template <int kR = kRows>
void run(const MicroTile& t, int rows) {
  if constexpr (kR > 1) {
    if (rows < kR) return run<kR - 1>(t, rows);
  }
  multiply<kR, 1>(t);
}

void run_few(const MicroTile& t, int rows) {
  rows == 1 ? multiply<1, kFewPanels>(t) : multiply<2, kFewPanels>(t);
}

}  // namespace

MicroKernel bf16_micro_kernel() {
  if (!native_bf16_products()) return {};
  return {kRows, kVectors * kLanes, kFewPanels, &run<kRows>, nullptr, &run_few};
}

}  // namespace autarky::cpu
#else
namespace autarky::cpu {
MicroKernel bf16_micro_kernel() { return {}; }
}  // namespace autarky::cpu
#endif
