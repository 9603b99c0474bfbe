// Matrix products: C[m, n] (+)= A[m, k] * B[k, n], sums in f32.
//
// Bits: an element of C is the sum, in the order of k, of one chain of multiply-adds per 256 of k.
// It depends neither on the thread count nor on the other rows and columns: a row of C has the same
// bits for every m and n. With `split_k` the chains of each part are summed first, then the parts
// in order; the number of parts comes from the shape. Without bf16 products the bits are also the
// same for every vector width (all chips with fused multiply-add agree).
#pragma once
#include <cstdint>
#include <functional>

#include "base/dtype.h"

namespace autarky::cpu {

struct GemmShape {
  std::int64_t m = 0, n = 0, k = 0;
  bool split_k = false;  // sum k in parts if m and n are small: weight gradients
};

// f32 or bf16; strides in elements, one of them 1 (a transpose is a swap of strides).
struct GemmOperand {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t row_stride = 0, col_stride = 1;
};

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
// Called once for every element of C, by any thread; with `accumulate` before the addition.
using GemmEpilogue = std::function<void(const GemmTile&)>;

// Extents may be 0 (k = 0 gives zeros). In bf16 mode (both operands bf16 and the chip multiplies
// bf16) products are exact bf16 products; else operands are widened to f32.
void gemm(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, const GemmOutput& c,
          const GemmEpilogue& epilogue = {});

// Parts of k that are summed apart; 1 unless split_k.
std::int64_t gemm_parts(const GemmShape& shape);

// An upper bound of the scratch memory of one gemm: shared plus `threads` times a thread's own.
std::int64_t gemm_scratch_bytes(const GemmShape& shape, int threads);

}  // namespace autarky::cpu
