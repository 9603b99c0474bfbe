// Rows of f32 or bf16 widened to f32 and added; sums over rows.
#pragma once
#include <cstdint>

#include "backend/kernel_table.h"

namespace autarky::cpu {

// out[i] = in[i]
void widen_row(const void* in, DType dtype, std::int64_t n, float* out);
// out[i] += in[i]
void accumulate_row(const void* in, DType dtype, std::int64_t n, float* out);

// out[j] = sum over i, in order, of partials[i * n + j]; stored as the tensor's element type.
void sum_partials(const float* partials, std::int64_t count, std::int64_t n, const Tensor& out);

}  // namespace autarky::cpu
