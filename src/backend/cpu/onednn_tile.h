// One tile of a matrix product by oneDNN, on the calling thread alone.
// Everything that includes oneDNN's headers, and what differs between its
// versions, is in onednn_tile.cpp.
#pragma once
#include <cstdint>
#include <string>

#include "backend/cpu/operand.h"

namespace autarky::cpu {

// c[m, n] (+)= a[m, k] * b[k, n], sums in f32; a and b of one dtype; extents at
// least 1. Uses one thread inside and outside of parallel regions. The bits
// depend on nothing but the operands and this description. oneDNN's f32 product
// copies its operands to memory of its own.
struct TileProduct {
  std::int64_t m = 0, n = 0, k = 0;
  Operand a, b;
  float* c = nullptr;
  std::int64_t ld = 0;  // row stride of c
  bool accumulate = false;
};
void multiply(const TileProduct& tile);

// The dtype in which operands of dtypes a and b are multiplied: bf16 where both
// are and the chip and oneDNN multiply bf16; else f32 (bf16 operands are
// widened first).
DType product_dtype(DType a, DType b);

// Why bf16 operands are not multiplied as they are; empty where they are.
const std::string& bf16_product_refusal();

}  // namespace autarky::cpu
