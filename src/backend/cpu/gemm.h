// Matrix products: C[m, n] (+)= A[m, k] * B[k, n], sums in f32.
//
// Bits: they depend neither on the run nor on the thread count. A row of C has the same bits for
// every m in [1, 8] (few_rows.h), and for every m > 8 where products are f32 and k is not split:
// oneDNN does not promise that, it is tested for some m, n and k (on AVX2 so far). Between the two,
// for other n and on another chip the last bits may differ. bf16 products (AVX-512-BF16) promise
// the thread count only. With `split_k` the parts of k are summed apart, then in order; the number
// of parts comes from the shape.
#pragma once
#include <cstdint>
#include <functional>

#include "backend/cpu/operand.h"

namespace autarky::cpu {

struct GemmShape {
  std::int64_t m = 0, n = 0, k = 0;
  bool split_k = false;  // sum k in parts if m and n are small: weight gradients
};

using GemmOperand = Operand;

struct GemmOutput {
  void* data = nullptr;
  DType dtype = DType::f32;  // f32, or bf16 rounded to nearest even
  std::int64_t row_stride = 0;
  bool accumulate = false;  // C += A * B; f32 only
};

// Part of the product, before it is stored to C; may be changed in place.
struct GemmTile {
  std::int64_t row0, rows, col0, cols;
  float* values;  // [rows, cols]
  std::int64_t ld;
};
// Called once for every element of C, by any thread; with `accumulate` before
// the addition.
using GemmEpilogue = std::function<void(const GemmTile&)>;

// Extents may be 0 (k = 0 gives zeros). In bf16 mode (both operands bf16 and
// the chip multiplies bf16) products are exact bf16 products; else operands are
// widened to f32.
void gemm(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, const GemmOutput& c,
          const GemmEpilogue& epilogue = {});

// Parts of k that are summed apart; 1 unless split_k.
std::int64_t gemm_parts(const GemmShape& shape);

// An upper bound of the scratch memory of one gemm: shared plus `threads` times
// a thread's own.
std::int64_t gemm_scratch_bytes(const GemmShape& shape, int threads);

}  // namespace autarky::cpu
