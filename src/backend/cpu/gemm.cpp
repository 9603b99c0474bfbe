#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/blocks.h"
#include "backend/cpu/convert.h"
#include "backend/cpu/few_rows.h"
#include "backend/cpu/onednn_tile.h"
#include "backend/cpu/scratch.h"
#include "base/error.h"
#include "base/parallel.h"

namespace autarky::cpu {
namespace {

constexpr std::int64_t kMostRows = 768,
                       kMostCols = 1024;  // of a tile: oneDNN copies less often
constexpr std::int64_t kLeastRows = 256, kLeastCols = 384;
// What makes the bits of a row the same for every m > kFewRows (measured:
// oneDNN 2.6.3 sums the last rows in another order when their number is no
// multiple of 6 or 12, and all rows when k > 256 and its choice of blocks
// changes with m).
constexpr std::int64_t kGrain = 48;       // rows of a call are a multiple
constexpr std::int64_t kDepth = 256;      // of k at once, for f32 products
constexpr std::int64_t kEnoughTasks = 8;  // smaller tiles below this
constexpr std::int64_t kMinPart = 1024;   // of k
constexpr std::int64_t kGap = 16;         // floats between copied lines, against the next

// Whether lines `stride` floats apart begin in the same few sets of a cache, which a product that
// walks across them pays for.
bool crowds_cache(std::int64_t stride) { return stride % 1024 == 0; }

// The cut of the work, from the shape alone.
struct Plan {
  std::int64_t rows, cols;  // of a tile
  std::int64_t row_tiles,
      col_tiles;       // even: the last is at most a grain per tile smaller
  std::int64_t parts;  // of k
  std::int64_t part_k;
};

// Tiles of at most `most`, as even as the grain allows.
std::int64_t even_tile(std::int64_t extent, std::int64_t most) {
  const std::int64_t tiles = std::max<std::int64_t>(ceil_div(extent, most), 1);
  return std::max(std::min(round_up(ceil_div(extent, tiles), kGrain), extent), std::int64_t{1});
}

Plan few_rows_plan(const GemmShape& s) {
  const std::int64_t cols = std::clamp(round_up(ceil_div(s.n, 8), 64), std::int64_t{64}, kMostCols);
  return {s.m, cols, 1, ceil_div(s.n, cols), 1, s.k};
}

Plan make_plan(const GemmShape& s) {
  if (s.m <= kFewRows) return few_rows_plan(s);
  Plan p{even_tile(s.m, kMostRows), even_tile(s.n, kMostCols), 0, 0, 1, s.k};
  const auto tasks = [&] {
    p.row_tiles = ceil_div(s.m, p.rows), p.col_tiles = ceil_div(s.n, p.cols);
    return p.row_tiles * p.col_tiles;
  };
  const std::int64_t parts = s.split_k ? std::min(kEnoughTasks / tasks(), s.k / kMinPart) : 1;
  p.parts = std::max<std::int64_t>(parts, 1);
  // A sum in parts makes do with half as many: its two operands are read, widened and packed by
  // every tile, which costs more than threads that wait at the end.
  const std::int64_t enough = p.parts > 1 ? kEnoughTasks / 2 : kEnoughTasks;
  if (tasks() * p.parts < enough) p.cols = even_tile(s.n, std::max(p.cols / 2, kLeastCols));
  if (tasks() * p.parts < enough) p.rows = even_tile(s.m, std::max(p.rows / 2, kLeastRows));
  tasks();
  p.part_k = round_up(ceil_div(s.k, p.parts), kDepth);
  return p;
}

struct Buffers {
  Scratch few_rows;        // A of a gemm of few rows
  Scratch parts;           // sums of the parts of k
  Scratch a, b, tile;      // a thread's own widened operands and tile of C
  Scratch tail_a, tail_c;  // the last rows, among zeros
};
Buffers& buffers() {
  thread_local Buffers mine;
  return mine;
}

class Gemm {
 public:
  Gemm(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, const GemmOutput& c,
       const GemmEpilogue& epilogue)
      : shape_(shape),
        plan_(make_plan(shape)),
        a_(a.plain(shape.m, shape.k)),
        b_(b.plain(shape.k, shape.n)),
        c_(c),
        epilogue_(epilogue),
        product_(product_dtype(a.dtype, b.dtype)) {}

  void run() {
    if (few_rows()) widen_few_rows();
    if (plan_.parts > 1) parts_ = buffers().parts.get(parts_floats());
    const std::int64_t tiles = plan_.row_tiles * plan_.col_tiles;
    parallel_for(plan_.parts * tiles, [&](std::int64_t i, int) {
      const std::int64_t part = i / tiles, row = i % plan_.row_tiles * plan_.rows;
      const std::int64_t col = i % tiles / plan_.row_tiles * plan_.cols;
      run_task({row, std::min(row + plan_.rows, shape_.m)},
               {col, std::min(col + plan_.cols, shape_.n)},
               {part * plan_.part_k, std::min((part + 1) * plan_.part_k, shape_.k)}, part);
    });
    if (plan_.parts > 1) sum_parts();
  }

  bool few_rows() const { return shape_.m <= kFewRows; }
  std::int64_t shared_floats() const { return few_rows() ? shape_.m * shape_.k : parts_floats(); }
  std::int64_t own_floats() const {
    const std::int64_t tile = plan_.rows * plan_.cols;
    if (few_rows()) return tile;
    const std::int64_t depth = std::min(kDepth, shape_.k);
    return tile + copy_floats(plan_.rows) + copy_floats(plan_.cols) + kGrain * (depth + plan_.cols);
  }

 private:
  // Of a copy of `lines` rows of A or columns of B, whichever way they lie.
  std::int64_t copy_floats(std::int64_t lines) const {
    return (lines + kGap) * (std::min(kDepth, shape_.k) + kGap);
  }

  std::int64_t parts_floats() const {
    return plan_.parts > 1 ? plan_.parts * shape_.m * shape_.n : 0;
  }

  void widen_few_rows() {
    float* out = few_ = buffers().few_rows.get(shape_.m * shape_.k);
    if (a_.col_stride == 1) {
      for (std::int64_t i = 0; i < shape_.m; ++i)
        widen(a_.from(i, 0).data, a_.dtype, shape_.k, out + i * shape_.k);
      return;
    }
    for (std::int64_t i = 0; i < shape_.m; ++i)
      for (std::int64_t k = 0; k < shape_.k; ++k)
        widen(a_.from(i, k).data, a_.dtype, 1, out + i * shape_.k + k);
  }

  void run_task(Range rows, Range cols, Range ks, std::int64_t part) {
    if (plan_.parts > 1) {
      float* out = parts_ + (part * shape_.m + rows.begin) * shape_.n + cols.begin;
      return sum_tile(rows, cols, ks, out, shape_.n, false);
    }
    // Few rows are summed apart: they would add to what is in C in another
    // order.
    if (c_.dtype == DType::f32 && !epilogue_ && !(few_rows() && c_.accumulate)) {
      float* out = static_cast<float*>(c_.data) + rows.begin * c_.row_stride + cols.begin;
      return sum_tile(rows, cols, ks, out, c_.row_stride, c_.accumulate);
    }
    float* out = buffers().tile.get(plan_.rows * plan_.cols);
    sum_tile(rows, cols, ks, out, plan_.cols, false);
    finish({rows.begin, rows.size(), cols.begin, cols.size(), out, plan_.cols});
  }

  // out (+)= A[rows, ks] * B[ks, cols]
  void sum_tile(Range rows, Range cols, Range ks, float* out, std::int64_t ld, bool accumulate) {
    if (ks.empty()) {
      if (accumulate) return;
      for (std::int64_t i = 0; i < rows.size(); ++i) std::fill_n(out + i * ld, cols.size(), 0.0f);
    } else if (few_rows()) {
      multiply_few_rows(few_, shape_.m, shape_.k, b_.from(0, cols.begin), cols.size(), out, ld);
    } else {
      const std::int64_t step = product_ == DType::f32 ? kDepth : ks.size();
      for (std::int64_t k = ks.begin; k < ks.end; k += step)
        multiply_block(rows, cols, {k, std::min(k + step, ks.end)}, out, ld,
                       accumulate || k > ks.begin);
    }
  }

  void multiply_block(Range rows, Range cols, Range ks, float* out, std::int64_t ld,
                      bool accumulate) {
    const auto ready = [&](const Operand& x, std::int64_t m, std::int64_t n, Scratch& memory,
                           std::int64_t lines) {
      const bool copied = product_ == DType::f32 &&
                          (x.dtype != DType::f32 || crowds_cache(x.row_stride * x.col_stride));
      return copied ? copy_lines(x, m, n, kGap, memory.get(copy_floats(lines))) : x;
    };
    const Operand a =
        ready(a_.from(rows.begin, ks.begin), rows.size(), ks.size(), buffers().a, plan_.rows);
    const Operand b =
        ready(b_.from(ks.begin, cols.begin), ks.size(), cols.size(), buffers().b, plan_.cols);
    const std::int64_t whole = rows.size() / kGrain * kGrain;
    if (whole > 0) multiply({whole, cols.size(), ks.size(), a, b, out, ld, accumulate});
    if (whole < rows.size())
      multiply_tail(rows.size() - whole, {kGrain, cols.size(), ks.size(), a.from(whole, 0), b,
                                          out + whole * ld, ld, accumulate});
  }

  // The first `rows` of the tile's rows; the others are zeros in A and are not
  // in C.
  void multiply_tail(std::int64_t rows, TileProduct tile) {
    float* const c = tile.c;
    const std::int64_t ld = tile.ld, bytes = byte_size(tile.a.dtype);
    float* a = buffers().tail_a.get(kGrain * tile.k);
    std::fill_n(a, kGrain * tile.k, 0.0f);
    const bool by_rows = tile.a.col_stride == 1;
    const std::int64_t lines = by_rows ? rows : tile.k, length = by_rows ? tile.k : rows;
    const Operand copy{a, tile.a.dtype, by_rows ? tile.k : 1, by_rows ? 1 : kGrain};
    for (std::int64_t i = 0; i < lines; ++i) {
      const void* from = by_rows ? tile.a.from(i, 0).data : tile.a.from(0, i).data;
      const void* to = by_rows ? copy.from(i, 0).data : copy.from(0, i).data;
      std::memcpy(const_cast<void*>(to), from, std::size_t(length * bytes));
    }
    tile.a = copy;
    tile.c = buffers().tail_c.get(kGrain * tile.n);
    tile.ld = tile.n;
    std::fill_n(tile.c, kGrain * tile.n, 0.0f);
    for (std::int64_t i = 0; tile.accumulate && i < rows; ++i)
      std::copy_n(c + i * ld, tile.n, tile.c + i * tile.n);
    multiply(tile);
    for (std::int64_t i = 0; i < rows; ++i) std::copy_n(tile.c + i * tile.n, tile.n, c + i * ld);
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
  Operand a_, b_;
  GemmOutput c_;
  const GemmEpilogue& epilogue_;
  DType product_;           // what a and b are multiplied as
  float* parts_ = nullptr;  // [parts, m, n]
  float* few_ = nullptr;    // [m, k]
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
  // Mixed dtypes need the most: one operand is widened, or both.
  const Gemm gemm(shape, {}, {}, {}, {});
  return 4 * (gemm.shared_floats() + threads * gemm.own_floats());
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
