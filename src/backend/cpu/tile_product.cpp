#include "backend/cpu/tile_product.h"

#include <algorithm>

#include "backend/cpu/micro_kernel.h"

namespace autarky::cpu {
namespace {

// The last panel of B may be wider than what is left of C: through a small copy.
void run_narrow(const MicroKernel& kernel, const MicroTile& tile, int rows, std::int64_t cols) {
  alignas(64) float small[16 * 64];
  MicroTile copy = tile;
  copy.c = small;
  copy.ld = kernel.cols;
  copy.accumulate = false;
  (copy.a_row > 0 ? kernel.run_strided : kernel.run)(copy, rows);
  for (int i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < cols; ++j) {
      float& c = tile.c[i * tile.ld + j];
      c = tile.accumulate ? c + small[i * kernel.cols + j] : small[i * kernel.cols + j];
    }
}

// One panel of A against the panel of B that starts at column `col`.
void run_panel(Product product, const MicroKernel& kernel, const TileProduct& t, std::int64_t row,
               std::int64_t col) {
  const std::int64_t panel = row / kernel.rows, depth = packed_depth(product, t.k);
  if (t.wanted_cols) {
    const Range wanted = t.wanted_cols[panel];
    if (col >= wanted.end || col + kernel.cols <= wanted.begin) return;
  }
  Range used{0, depth};
  if (t.used_k) {
    const std::int64_t per_word = product == Product::f32 ? 1 : 2;
    used = {t.used_k[panel].begin / per_word, packed_depth(product, t.used_k[panel].end)};
    if (used.empty() && t.accumulate) return;
  }
  const bool strided = t.a_row > 0;
  const MicroTile tile{strided ? t.a + row * t.a_row + used.begin * t.a_k
                               : t.a + row * depth + used.begin * kernel.rows,
                       t.b + col * depth + used.begin * kernel.cols,
                       depth * kernel.cols,
                       std::max<std::int64_t>(used.end - used.begin, 0),
                       t.c + row * t.ld + col,
                       t.ld,
                       t.accumulate,
                       t.a_row,
                       t.a_k};
  const int rows = int(std::min<std::int64_t>(kernel.rows, t.rows - row));
  if (t.cols - col < kernel.cols) run_narrow(kernel, tile, rows, t.cols - col);
  else (strided ? kernel.run_strided : kernel.run)(tile, rows);
}

// One or two rows: several panels of B at once. Returns the first column left to do.
std::int64_t run_few_rows(Product product, const MicroKernel& kernel, const TileProduct& t) {
  if (t.rows > 2 || t.wanted_cols || t.used_k || t.a_row > 0) return 0;
  const std::int64_t depth = packed_depth(product, t.k), step = kernel.cols * kernel.panels;
  std::int64_t col = 0;
  for (; col + step <= t.cols; col += step) {
    const MicroTile tile{t.a,  t.b + col * depth, depth * kernel.cols, depth, t.c + col,
                         t.ld, t.accumulate};
    kernel.run_few(tile, int(t.rows));
  }
  return col;
}

}  // namespace

int panel_rows(Product product) { return micro_kernel(product).rows; }
int panel_cols(Product product) { return micro_kernel(product).cols; }

void multiply(Product product, const TileProduct& t) {
  const MicroKernel& kernel = micro_kernel(product);
  for (std::int64_t col = run_few_rows(product, kernel, t); col < t.cols; col += kernel.cols)
    for (std::int64_t row = 0; row < t.rows; row += kernel.rows)
      run_panel(product, kernel, t, row, col);
}

}  // namespace autarky::cpu
