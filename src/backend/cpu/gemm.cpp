#include "backend/cpu/gemm.h"

#include <algorithm>

#include "backend/cpu/convert.h"
#include "backend/cpu/cpu_info.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/tile_product.h"
#include "base/error.h"
#include "base/parallel.h"

namespace autarky::cpu {
namespace {

constexpr std::int64_t kTileRows = 144;  // a multiple of every panel_rows; packed A stays in L2
constexpr std::int64_t kDepth = 256;     // of k at once: a panel of B stays in L1
constexpr std::int64_t kEnoughTasks = 24;
constexpr std::int64_t kMinPart = 1024;         // of k
constexpr std::int64_t kGroupFloats = 4 << 20;  // packed B kept for all row tiles
constexpr std::int64_t kSmallCols = 64, kMaxCols = 1024;

std::int64_t ceil_div(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

// The cut of the work, from the shape alone.
struct Plan {
  bool few_rows;           // one row tile: A is packed once, every task packs its own B
  std::int64_t row_tiles;  // of kTileRows
  std::int64_t cols;       // of a task
  std::int64_t group;      // columns of B packed at once; a multiple of cols
  std::int64_t parts;      // of k
  std::int64_t part_k;     // a multiple of kDepth
};

Plan make_plan(const GemmShape& s) {
  Plan p{};
  p.row_tiles = ceil_div(s.m, kTileRows);
  p.few_rows = p.row_tiles <= 1;
  p.cols = p.few_rows ? (s.n > 64 * kSmallCols ? 4 * kSmallCols : kSmallCols) : kMaxCols;
  if (!p.few_rows)
    while (p.cols > 4 * kSmallCols && p.row_tiles * ceil_div(s.n, p.cols) < kEnoughTasks)
      p.cols /= 2;
  p.group = p.few_rows ? std::max(round_up(s.n, p.cols), p.cols)
                       : std::max(kGroupFloats / std::max<std::int64_t>(s.k, 1) / p.cols,
                                  std::int64_t{1}) *
                             p.cols;
  const std::int64_t tasks = std::max<std::int64_t>(p.row_tiles * ceil_div(s.n, p.cols), 1);
  p.parts = s.split_k ? std::clamp<std::int64_t>(std::min(kEnoughTasks / tasks, s.k / kMinPart), 1,
                                                 kEnoughTasks)
                      : 1;
  p.part_k = std::max(round_up(ceil_div(s.k, p.parts), kDepth), kDepth);
  return p;
}

struct Buffers {
  Scratch shared;  // packed A or B, for all threads of a gemm
  Scratch parts;   // sums of the parts of k
  Scratch packed;  // a thread's own panels
  Scratch tile;    // a thread's own tile of C
};
Buffers& buffers() {
  thread_local Buffers mine;
  return mine;
}

class Gemm {
 public:
  Gemm(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, const GemmOutput& c,
       const GemmEpilogue& epilogue)
      : shape_(shape), plan_(make_plan(shape)), c_(c), epilogue_(epilogue) {
    const bool halves = a.dtype == DType::bf16 && b.dtype == DType::bf16;
    product_ = halves && native_bf16_products() ? Product::bf16 : Product::f32;
    a_ = {a.data, a.dtype, a.row_stride, a.col_stride};
    b_ = {b.data, b.dtype, b.col_stride, b.row_stride};
  }

  void run() {
    shared_ = buffers().shared.get(shared_words());
    if (plan_.parts > 1) parts_ = buffers().parts.get(plan_.parts * shape_.m * shape_.n);
    if (plan_.few_rows) pack_shared_a();
    for (std::int64_t col = 0; col < shape_.n; col += plan_.group) {
      const Range group{col, std::min(col + plan_.group, shape_.n)};
      if (!plan_.few_rows) pack_shared_b(group);
      multiply_group(group);
    }
    if (plan_.parts > 1) sum_parts();
  }

  std::int64_t shared_words() const {
    const std::int64_t width = plan_.few_rows ? panel_rows(product_) : panel_cols(product_);
    const std::int64_t lines = plan_.few_rows ? shape_.m : std::min(plan_.group, shape_.n);
    return round_up(lines, width) * packed_depth(product_, shape_.k);
  }
  std::int64_t packed_words() const {
    const std::int64_t lines = plan_.few_rows ? plan_.cols : kTileRows;
    return lines * packed_depth(product_, kDepth);
  }
  std::int64_t tile_floats() const {
    return std::min(kTileRows, shape_.m) * std::min(plan_.cols, round_up(shape_.n, 16));
  }
  std::int64_t parts_floats() const {
    return plan_.parts > 1 ? plan_.parts * shape_.m * shape_.n : 0;
  }

 private:
  // Where the panels of [lines, k0...] start in a shared block that holds `lines` lines.
  std::int64_t offset(std::int64_t lines, int width, std::int64_t k0) const {
    return round_up(lines, width) * packed_depth(product_, k0);
  }

  void pack_shared_a() {
    const int width = panel_rows(product_);
    parallel_for(ceil_div(shape_.k, kDepth), [&](std::int64_t i, int) {
      const std::int64_t k0 = i * kDepth, depth = std::min(kDepth, shape_.k - k0);
      pack(product_, a_.from(0, k0), shape_.m, depth, width, shared_ + offset(shape_.m, width, k0));
    });
  }

  void pack_shared_b(Range group) {
    const int width = panel_cols(product_);
    const std::int64_t blocks = ceil_div(group.end - group.begin, plan_.cols);
    const std::int64_t depths = ceil_div(shape_.k, kDepth);
    parallel_for(blocks * depths, [&](std::int64_t i, int) {
      const std::int64_t col = group.begin + i / depths * plan_.cols, k0 = i % depths * kDepth;
      const std::int64_t cols = std::min(plan_.cols, group.end - col);
      const std::int64_t depth = std::min(kDepth, shape_.k - k0);
      pack(product_, b_.from(col, k0), cols, depth, width, shared_b(group, col, cols, k0));
    });
  }
  float* shared_b(Range group, std::int64_t col, std::int64_t cols, std::int64_t k0) const {
    const int width = panel_cols(product_);
    return shared_ + offset(col - group.begin, width, shape_.k) + offset(cols, width, k0);
  }

  void multiply_group(Range group) {
    const std::int64_t blocks = ceil_div(group.end - group.begin, plan_.cols);
    const std::int64_t tiles = blocks * plan_.row_tiles;
    parallel_for(plan_.parts * tiles, [&](std::int64_t i, int) {
      const std::int64_t part = i / tiles, block = i % tiles / plan_.row_tiles;
      const std::int64_t row = i % plan_.row_tiles * kTileRows;
      const std::int64_t col = group.begin + block * plan_.cols;
      const Range rows{row, std::min(row + kTileRows, shape_.m)};
      const Range cols{col, std::min(col + plan_.cols, group.end)};
      const Range ks{part * plan_.part_k, std::min((part + 1) * plan_.part_k, shape_.k)};
      run_task(group, rows, cols, ks, part);
    });
  }

  void run_task(Range group, Range rows, Range cols, Range ks, std::int64_t part) {
    const bool direct = c_.dtype == DType::f32 && !epilogue_;
    if (plan_.parts > 1) {
      float* out = parts_ + (part * shape_.m + rows.begin) * shape_.n + cols.begin;
      sum_tile(group, rows, cols, ks, out, shape_.n, false);
    } else if (direct) {
      float* out = static_cast<float*>(c_.data) + rows.begin * c_.row_stride + cols.begin;
      sum_tile(group, rows, cols, ks, out, c_.row_stride, c_.accumulate);
    } else {
      float* out = buffers().tile.get(tile_floats());
      const std::int64_t ld = std::min(plan_.cols, round_up(shape_.n, 16));
      sum_tile(group, rows, cols, ks, out, ld, false);
      finish({rows.begin, rows.end - rows.begin, cols.begin, cols.end - cols.begin, out, ld});
    }
  }

  // out (+)= A[rows, ks] * B[ks, cols]
  void sum_tile(Range group, Range rows, Range cols, Range ks, float* out, std::int64_t ld,
                bool accumulate) {
    const std::int64_t m = rows.end - rows.begin, n = cols.end - cols.begin;
    if (ks.empty() && !accumulate)
      for (std::int64_t i = 0; i < m; ++i) std::fill_n(out + i * ld, n, 0.0f);
    float* mine = buffers().packed.get(packed_words());
    const int width_a = panel_rows(product_), width_b = panel_cols(product_);
    for (std::int64_t k0 = ks.begin; k0 < ks.end; k0 += kDepth) {
      const std::int64_t depth = std::min(kDepth, ks.end - k0);
      TileProduct tile{.rows = m, .cols = n, .k = depth, .c = out, .ld = ld};
      tile.accumulate = accumulate || k0 > ks.begin;
      if (plan_.few_rows) {
        pack(product_, b_.from(cols.begin, k0), n, depth, width_b, mine);
        tile.a = shared_ + offset(m, width_a, k0);
        tile.b = mine;
      } else {
        pack(product_, a_.from(rows.begin, k0), m, depth, width_a, mine);
        tile.a = mine;
        tile.b = shared_b(group, cols.begin, n, k0);
      }
      multiply(product_, tile);
    }
  }

  void finish(const GemmTile& tile) {
    if (epilogue_) epilogue_(tile);
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      const std::int64_t at = (tile.row0 + i) * c_.row_stride + tile.col0;
      char* out = static_cast<char*>(c_.data) + at * byte_size(c_.dtype);
      const float* row = tile.values + i * tile.ld;
      if (c_.accumulate) add_row(row, tile.cols, reinterpret_cast<float*>(out));
      else store_row(row, tile.cols, c_.dtype, out);
    }
  }

  void sum_parts() {
    parallel_for(ceil_div(shape_.m, 8), [&](std::int64_t i, int) {
      const std::int64_t row = i * 8, rows = std::min<std::int64_t>(8, shape_.m - row);
      float* sum = parts_ + row * shape_.n;
      for (std::int64_t part = 1; part < plan_.parts; ++part)
        add_row(sum + part * shape_.m * shape_.n, rows * shape_.n, sum);
      finish({row, rows, 0, shape_.n, sum, shape_.n});
    });
  }

  GemmShape shape_;
  Plan plan_;
  Product product_;
  Lines a_, b_;
  GemmOutput c_;
  const GemmEpilogue& epilogue_;
  float* shared_ = nullptr;
  float* parts_ = nullptr;
};

void check_operand(const GemmOperand& x, std::int64_t rows, std::int64_t cols) {
  AUTARKY_CHECK(x.dtype == DType::f32 || x.dtype == DType::bf16, "operands are f32 or bf16");
  AUTARKY_CHECK(x.row_stride == 1 || x.col_stride == 1 || rows <= 1 || cols <= 1,
                "one stride of an operand is 1");
}

}  // namespace

std::int64_t gemm_parts(const GemmShape& shape) { return make_plan(shape).parts; }

std::int64_t gemm_scratch_bytes(const GemmShape& shape, int threads) {
  if (shape.m == 0 || shape.n == 0) return 0;
  const Gemm gemm(shape, {}, {}, {}, {});  // f32 operands: the larger panels
  const std::int64_t own = gemm.packed_words() + gemm.tile_floats();
  return 4 * (gemm.shared_words() + gemm.parts_floats() + threads * own);
}

void gemm(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, const GemmOutput& c,
          const GemmEpilogue& epilogue) {
  check_operand(a, shape.m, shape.k);
  check_operand(b, shape.k, shape.n);
  AUTARKY_CHECK(c.dtype == DType::f32 || (c.dtype == DType::bf16 && !c.accumulate),
                "the output is f32, or bf16 without accumulation");
  if (shape.m == 0 || shape.n == 0) return;
  Gemm(shape, a, b, c, epilogue).run();
}

}  // namespace autarky::cpu
