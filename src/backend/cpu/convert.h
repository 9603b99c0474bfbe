// Rows of f32 to where they are stored.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace autarky::cpu {

// out[i] = in[i], rounded to nearest even for bf16 (NaN stays NaN).
void store_row(const float* in, std::int64_t n, DType dtype, void* out);

// out[i] += in[i]
void add_row(const float* in, std::int64_t n, float* out);

}  // namespace autarky::cpu
