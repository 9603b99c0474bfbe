#include "backend/cpu/attention_tiles.h"

#include <algorithm>

#include "backend/cpu/attention_rows.h"
#include "backend/cpu/convert.h"
#include "backend/cpu/cpu_info.h"

namespace autarky::cpu {

std::int64_t queries_per_tile(const Attention& x) {
  return std::max<std::int64_t>(kQueryRows / x.r, 1);
}
std::int64_t query_tiles(const Attention& x) {
  return (x.s + queries_per_tile(x) - 1) / queries_per_tile(x);
}
std::int64_t key_tiles(const Attention& x) { return (x.t + kTileKeys - 1) / kTileKeys; }

QueryTile query_tile(const Attention& x, std::int64_t i) {
  const std::int64_t first = i * queries_per_tile(x);
  const std::int64_t queries = std::min(queries_per_tile(x), x.s - first);
  return {first, queries, queries * x.r};
}

Product attention_product(const Attention& x) {
  return x.dtype == DType::bf16 && native_bf16_products() ? Product::bf16 : Product::f32;
}

void load_rows(const Attention& x, const ReadRows& from, HeadGroup at, const QueryTile& tile,
               float* rows) {
  const std::int64_t width = x.r * x.d;
  for (std::int64_t i = 0; i < tile.queries; ++i) {
    const std::int64_t offset =
        at.batch * from.batch_stride + (tile.first + i) * from.row_stride + at.group * width;
    widen(static_cast<const char*>(from.data) + offset * byte_size(x.dtype), x.dtype, width,
          rows + i * width);
  }
}

void store_rows(const Attention& x, const float* rows, HeadGroup at, const QueryTile& tile,
                const WriteRows& to) {
  const std::int64_t width = x.r * x.d;
  for (std::int64_t i = 0; i < tile.queries; ++i) {
    const std::int64_t offset =
        at.batch * to.batch_stride + (tile.first + i) * to.row_stride + at.group * width;
    store_row(rows + i * width, width, x.dtype,
              static_cast<char*>(to.data) + offset * byte_size(x.dtype));
  }
}

std::int64_t head_index(const Attention& x, HeadGroup at, std::int64_t query) {
  return ((at.batch * x.s + query) * x.g + at.group) * x.r;
}

Lines key_lines(const Attention& x, const ReadRows& from, HeadGroup at, std::int64_t first) {
  const std::int64_t offset =
      at.batch * from.batch_stride + first * from.row_stride + at.group * x.d;
  return {static_cast<const char*>(from.data) + offset * byte_size(x.dtype), x.dtype,
          from.row_stride, 1};
}

Lines transposed(const Lines& lines) {
  return {lines.data, lines.dtype, lines.k_stride, lines.line_stride};
}

void set_queries(const Attention& x, HeadGroup at, const QueryTile& tile, TileSide& side) {
  const std::int64_t offset = at.batch * x.s + tile.first;
  side.set(x.q_pos + offset, x.q_seg + offset, tile.queries, x.r);
}

void set_keys(const Attention& x, HeadGroup at, std::int64_t first, TileSide& side) {
  const std::int64_t offset = at.batch * x.t + first;
  side.set(x.k_pos + offset, x.k_seg + offset, std::min(kTileKeys, x.t - first), 1);
}

namespace {

void pack_used(Product product, const Lines& source, std::int64_t lines, std::int64_t k,
               const std::vector<Range>& used, float* out) {
  const int width = panel_rows(product);
  for (std::int64_t line = 0; line < lines; line += width) {
    const Range range = used[std::size_t(line / width)];
    if (range.empty()) continue;
    pack(product, source.from(line, range.begin), std::min<std::int64_t>(width, lines - line),
         range.end - range.begin, width,
         out + line * packed_depth(product, k) + packed_depth(product, range.begin) * width);
  }
}

}  // namespace

void multiply_used(Product product, const UsedProduct& x) {
  TileProduct tile{.rows = x.lines, .b = x.b, .cols = x.d, .k = x.k, .c = x.c, .ld = x.d};
  tile.accumulate = true;
  tile.used_k = x.used.data();
  tile.a = x.packed;
  if (product == Product::f32) {
    tile.a = static_cast<const float*>(x.a.data);
    tile.a_row = x.a.line_stride;
    tile.a_k = x.a.k_stride;
  } else {
    pack_used(product, x.a, x.lines, x.k, x.used, x.packed);
  }
  multiply(product, tile);
}

}  // namespace autarky::cpu
