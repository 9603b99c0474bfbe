// vdpbf16ps by its intrinsic: Highway 1.0 has no target with AVX-512-BF16.
#include "backend/cpu/peaks_bf16.h"

#ifdef __x86_64__
#include <immintrin.h>

namespace autarky::cpu {

__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) double bf16_multiply_adds(
    std::int64_t turns, float* sink) {
  constexpr int kSums = 12, kLanes = 16;
  const auto ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  __m512 sum[kSums];
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(sink[0] + float(i));
  for (std::int64_t turn = 0; turn < turns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], ones, ones);
  }
  for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  alignas(64) float lanes[kLanes];
  _mm512_store_ps(lanes, sum[0]);
  sink[0] = lanes[0];
  return 2.0 * 2 * kSums * kLanes * double(turns);
}

}  // namespace autarky::cpu
#else
namespace autarky::cpu {
double bf16_multiply_adds(std::int64_t, float*) { return 0; }
}  // namespace autarky::cpu
#endif
