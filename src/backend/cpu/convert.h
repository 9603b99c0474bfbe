// Rows and tiles between f32 and the dtype they are stored in.
#pragma once
#include <cstdint>

#include "backend/cpu/operand.h"

namespace autarky::cpu {

// out[i] = in[i], rounded to nearest even for bf16 (NaN stays NaN).
void store_row(const float* in, std::int64_t n, DType dtype, void* out);

void widen(const void* in, DType dtype, std::int64_t n,
           float* out);  // f32 or bf16 to f32

// out[i] += in[i]
void add_row(const float* in, std::int64_t n, float* out);

// x[rows, cols] widened to f32 in `memory`, in the order of x, `gap` floats between its lines.
Operand copy_lines(const Operand& x, std::int64_t rows, std::int64_t cols, std::int64_t gap,
                   float* memory);

// x[rows, cols] as `dtype`: x itself, or (bf16 to f32 only) a copy in `memory`,
// lines end to end.
Operand as_dtype(const Operand& x, DType dtype, std::int64_t rows, std::int64_t cols,
                 float* memory);

}  // namespace autarky::cpu
