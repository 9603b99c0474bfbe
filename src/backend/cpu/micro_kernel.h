// The innermost loops: a few rows times a few vectors of columns, sums held in registers.
#pragma once
#include <cstdint>

#include "backend/cpu/pack.h"

namespace autarky::cpu {

// c[rows, panels * cols] (+)= a * b over `depth` packed words. Each element of c is one chain of
// multiply-adds in the order of k, whatever the other rows and columns are.
struct MicroTile {
  const float* a;  // one packed panel
  const float* b;  // packed panels, `b_stride` words apart
  std::int64_t b_stride;
  std::int64_t depth;
  float* c;
  std::int64_t ld;
  bool accumulate;
  // For run_strided: a[i][k] = a[i * a_row + k * a_k].
  std::int64_t a_row = 0, a_k = 0;
};

struct MicroKernel {
  int rows = 0;    // width of a panel of A
  int cols = 0;    // width of a panel of B
  int panels = 0;  // panels of B that `run_few` takes
  // rows in [1, this->rows], one panel of B.
  void (*run)(const MicroTile& tile, int rows) = nullptr;
  // The same with A as it lies in memory (f32 products only, else null).
  void (*run_strided)(const MicroTile& tile, int rows) = nullptr;
  // rows in [1, 2], `panels` panels of B: enough independent sums to hide the latency.
  void (*run_few)(const MicroTile& tile, int rows) = nullptr;
};

const MicroKernel& micro_kernel(Product product);

// The kernel of Product::bf16; its rows are 0 where the chip has no bf16 products.
MicroKernel bf16_micro_kernel();

}  // namespace autarky::cpu
