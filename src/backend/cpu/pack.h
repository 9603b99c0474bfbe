// Panels: the order in which the inner loops of a matrix product read their operands.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace autarky::cpu {

// What the multiply-adds read; sums are f32 in both.
enum class Product : std::uint8_t { f32, bf16 };

// One operand [lines, k]: a line is a row of A or a column of B. f32 or bf16; strides in elements,
// one of them 1.
struct Lines {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t line_stride = 0;
  std::int64_t k_stride = 1;

  Lines from(std::int64_t line, std::int64_t k) const;  // the part that starts at (line, k)
};

// Packed words of 4 bytes that one line needs: k values of f32, or k / 2 (rounded up) pairs of
// bf16.
constexpr std::int64_t packed_depth(Product product, std::int64_t k) {
  return product == Product::f32 ? k : (k + 1) / 2;
}
constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }
constexpr std::int64_t packed_words(Product product, std::int64_t lines, std::int64_t k,
                                    int width) {
  return round_up(lines, width) * packed_depth(product, k);
}

// out[panel][word of k][width]: panels of `width` lines, absent lines and an odd last k are zeros.
// bf16 to f32 is exact; f32 to bf16 rounds to nearest even (NaN stays NaN).
void pack(Product product, const Lines& source, std::int64_t lines, std::int64_t k, int width,
          float* out);

}  // namespace autarky::cpu
