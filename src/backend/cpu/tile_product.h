// One tile of a matrix product, by one thread, from packed panels.
#pragma once
#include <cstdint>

#include "backend/cpu/pack.h"

namespace autarky::cpu {

int panel_rows(Product product);  // width of the panels of A
int panel_cols(Product product);  // width of the panels of B

struct Range {
  std::int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
};

// c[rows, cols] (+)= a * b in f32. The sum over k of an element is one chain of multiply-adds in
// the order of k; it depends on nothing else.
struct TileProduct {
  const float* a = nullptr;  // packed [rows, k], or with a_row: element (i, k) at i a_row + k a_k
  std::int64_t rows = 0;
  const float* b = nullptr;  // packed [cols, k]
  std::int64_t cols = 0;
  std::int64_t k = 0;
  float* c = nullptr;
  std::int64_t ld = 0;  // row stride of c
  bool accumulate = false;
  // Per panel of A, or null for all: the columns of c that are wanted (more may be written, to the
  // ends of B's panels) and the part of k that is not zero.
  const Range* wanted_cols = nullptr;
  const Range* used_k = nullptr;
  std::int64_t a_row = 0, a_k = 0;  // f32 products only
};

void multiply(Product product, const TileProduct& tile);

}  // namespace autarky::cpu
