// Products with few rows (decoding): bound by how fast B is read, so B is read
// once.
#pragma once
#include <cstdint>

#include "backend/cpu/operand.h"

namespace autarky::cpu {

inline constexpr std::int64_t kFewRows = 8;

// c[m, cols] = a[m, k] * b[k, cols], 1 <= m <= kFewRows, cols and k at least 1;
// a is f32 by rows (row stride k), b as gemm takes it. The bits of an element
// do not depend on m or the other columns: B by rows sums in the order of k; B
// by columns in lanes of a vector, then the lanes.
void multiply_few_rows(const float* a, std::int64_t m, std::int64_t k, const Operand& b,
                       std::int64_t cols, float* c, std::int64_t ld);

}  // namespace autarky::cpu
