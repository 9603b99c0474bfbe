// A matrix in memory, as the matrix products read it.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace autarky::cpu {

// f32 or bf16; strides in elements, one of them 1 (a transpose is a swap of
// strides).
struct Operand {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t row_stride = 0, col_stride = 1;

  Operand from(std::int64_t row,
               std::int64_t col) const {  // the part that starts there
    const std::int64_t offset = (row * row_stride + col * col_stride) * byte_size(dtype);
    return {static_cast<const char*>(data) + offset, dtype, row_stride, col_stride};
  }
  Operand transposed() const { return {data, dtype, col_stride, row_stride}; }

  // The same matrix [rows, cols]: the stride of an extent of 1 is made such
  // that one stride is 1 and the other spans a line.
  Operand plain(std::int64_t rows, std::int64_t cols) const {
    Operand x = *this;
    if (cols == 1) x.col_stride = row_stride == 1 ? rows : 1;
    else if (rows == 1) x.row_stride = col_stride == 1 ? cols : 1;
    return x;
  }
};

}  // namespace autarky::cpu
