#include "backend/cpu/attention_tiles.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/convert.h"

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

Operand load_rows(const Attention& x, const ReadRows& from, HeadGroup at, const QueryTile& tile,
                  DType dtype, float* memory) {
  const std::int64_t width = x.r * x.d;
  for (std::int64_t i = 0; i < tile.queries; ++i) {
    const std::int64_t offset =
        at.batch * from.batch_stride + (tile.first + i) * from.row_stride + at.group * width;
    const char* in = static_cast<const char*>(from.data) + offset * byte_size(x.dtype);
    char* out = reinterpret_cast<char*>(memory) + i * width * byte_size(dtype);
    if (x.dtype == dtype) std::memcpy(out, in, std::size_t(width * byte_size(dtype)));
    else widen(in, x.dtype, width, reinterpret_cast<float*>(out));
  }
  return {memory, dtype, x.d, 1};
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

Operand key_rows(const Attention& x, const ReadRows& from, HeadGroup at, std::int64_t first) {
  const std::int64_t offset =
      at.batch * from.batch_stride + first * from.row_stride + at.group * x.d;
  return {static_cast<const char*>(from.data) + offset * byte_size(x.dtype), x.dtype,
          from.row_stride, 1};
}

void set_queries(const Attention& x, HeadGroup at, const QueryTile& tile, TileSide& side) {
  const std::int64_t offset = at.batch * x.s + tile.first;
  side.set(x.q_pos + offset, x.q_seg + offset, tile.queries, x.r);
}

void set_keys(const Attention& x, HeadGroup at, std::int64_t first, TileSide& side) {
  const std::int64_t offset = at.batch * x.t + first;
  side.set(x.k_pos + offset, x.k_seg + offset, std::min(kTileKeys, x.t - first), 1);
}

Operand factor(const Strip& strip, const float* scores, DType dtype, float* memory) {
  const Operand here =
      Operand{scores, DType::f32, kScoreStride, 1}.from(strip.rows.begin, strip.keys.begin);
  if (dtype == DType::f32) return here;
  const std::int64_t keys = strip.keys.size();
  for (std::int64_t i = 0; i < strip.rows.size(); ++i)
    store_row(static_cast<const float*>(here.from(i, 0).data), keys, dtype,
              reinterpret_cast<bf16*>(memory) + i * kScoreStride);
  return {memory, dtype, kScoreStride, 1};
}

}  // namespace autarky::cpu
