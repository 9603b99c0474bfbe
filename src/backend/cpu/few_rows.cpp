#include "backend/cpu/few_rows.h"

#include <algorithm>

// Vectors of unknown length cannot be held in arrays: those chips run the NEON
// code.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/few_rows.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// after foreach_target
#include "backend/cpu/bf16-inl.h"

#ifndef AUTARKY_BACKEND_CPU_FEW_ROWS_ONCE  // one type for every instruction set
#define AUTARKY_BACKEND_CPU_FEW_ROWS_ONCE
namespace autarky::cpu {
namespace {
struct FewRows {
  const float* a;
  std::int64_t k;
  std::int64_t stride;  // of a line of B
  std::int64_t cols;
  float* c;
  std::int64_t ld;
};
}  // namespace
}  // namespace autarky::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::ScalableTag<float> kFloats;
using Floats = hn::Vec<decltype(kFloats)>;
constexpr int kLanes = int(hn::MaxLanes(kFloats));

// kM rows times kN columns of B that lie end to end in k.
template <int kM, int kN, class T>
HWY_INLINE void dot_block(const FewRows& x, const T* b, float* c) {
  Floats sum[kM][kN];
#pragma GCC unroll 8
  for (int i = 0; i < kM; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < kN; ++j) sum[i][j] = hn::Zero(kFloats);
  std::int64_t at = 0;
  for (; at + kLanes <= x.k; at += kLanes) {
#pragma GCC unroll 8
    for (int j = 0; j < kN; ++j) {
      const Floats right = load_floats(kFloats, b + j * x.stride + at);
#pragma GCC unroll 8
      for (int i = 0; i < kM; ++i)
        sum[i][j] = hn::MulAdd(hn::LoadU(kFloats, x.a + i * x.k + at), right, sum[i][j]);
    }
  }
  for (int i = 0; i < kM; ++i)
    for (int j = 0; j < kN; ++j) {
      float total = hn::GetLane(hn::SumOfLanes(kFloats, sum[i][j]));
      for (std::int64_t rest = at; rest < x.k; ++rest)
        total += x.a[i * x.k + rest] * float(b[j * x.stride + rest]);
      c[i * x.ld + j] = total;
    }
}

template <int kM, class T>
void dot_columns(const FewRows& x, const T* b) {
  constexpr int kN = std::max(8 / kM, 1);  // independent sums: they hide the latency
  std::int64_t col = 0;
  for (; col + kN <= x.cols; col += kN) dot_block<kM, kN>(x, b + col * x.stride, x.c + col);
  for (; col < x.cols; ++col) dot_block<kM, 1>(x, b + col * x.stride, x.c + col);
}

constexpr int kDepth = 8;  // rows of B at once: c is loaded and stored once for them

// c[kM, cols] += a[:, at...] * rows [at, at + kRows) of B.
template <int kM, int kRows, class T>
HWY_INLINE void add_rows(const FewRows& x, const T* b, std::int64_t at) {
  const float* a = x.a + at;
  b += at * x.stride;
  std::int64_t col = 0;
  for (; col + kLanes <= x.cols; col += kLanes) {
    Floats right[kRows];
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) {
      right[k] = load_floats(kFloats, b + k * x.stride + col);
      hwy::Prefetch(b + (k + kRows) * x.stride + col);  // another page: not foreseen by the chip
    }
#pragma GCC unroll 8
    for (int i = 0; i < kM; ++i) {
      Floats sum = hn::LoadU(kFloats, x.c + i * x.ld + col);
#pragma GCC unroll 8
      for (int k = 0; k < kRows; ++k)
        sum = hn::MulAdd(hn::Set(kFloats, a[i * x.k + k]), right[k], sum);
      hn::StoreU(sum, kFloats, x.c + i * x.ld + col);
    }
  }
  for (; col < x.cols; ++col)
    for (int i = 0; i < kM; ++i)
      for (int k = 0; k < kRows; ++k)
        x.c[i * x.ld + col] += a[i * x.k + k] * float(b[k * x.stride + col]);
}

template <int kM, class T>
void add_all_rows(const FewRows& x, const T* b) {
  for (int i = 0; i < kM; ++i) std::fill_n(x.c + i * x.ld, x.cols, 0.0f);
  std::int64_t at = 0;
  for (; at + kDepth <= x.k; at += kDepth) add_rows<kM, kDepth>(x, b, at);
  for (; at < x.k; ++at) add_rows<kM, 1>(x, b, at);
}

template <int kM, class T>
void multiply_rows(const FewRows& x, std::int64_t m, const Operand& b) {
  if constexpr (kM > 1) {
    if (m < kM) return multiply_rows<kM - 1, T>(x, m, b);
  }
  const T* data = static_cast<const T*>(b.data);
  b.row_stride == 1 ? dot_columns<kM>(x, data) : add_all_rows<kM>(x, data);
}

void few_rows_f32(const FewRows& x, std::int64_t m, const Operand& b) {
  multiply_rows<kFewRows, float>(x, m, b);
}
void few_rows_bf16(const FewRows& x, std::int64_t m, const Operand& b) {
  multiply_rows<kFewRows, bf16>(x, m, b);
}

}  // namespace
}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(few_rows_f32);
HWY_EXPORT(few_rows_bf16);

void multiply_few_rows(const float* a, std::int64_t m, std::int64_t k, const Operand& b,
                       std::int64_t cols, float* c, std::int64_t ld) {
  const std::int64_t stride = b.row_stride == 1 ? b.col_stride : b.row_stride;
  const auto run = b.dtype == DType::f32 ? HWY_DYNAMIC_DISPATCH(few_rows_f32)
                                         : HWY_DYNAMIC_DISPATCH(few_rows_bf16);
  run({a, k, stride, cols, c, ld}, m, b);
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
