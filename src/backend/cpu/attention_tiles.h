// What the forward and backward passes of attention share: tiles of queries and keys.
#pragma once
#include <vector>

#include "backend/cpu/attention_core.h"
#include "backend/cpu/attention_mask.h"
#include "backend/cpu/pack.h"

namespace autarky::cpu {

inline constexpr std::int64_t kQueryRows = 144;  // rows (query, head) of a tile, about
inline constexpr std::int64_t kTileKeys = 128;
inline constexpr std::int64_t kScoreStride = kTileKeys + 16;  // no power of two: spreads over L1

// One group of heads of one sequence.
struct HeadGroup {
  std::int64_t batch = 0, group = 0;
};

// The queries [first, first + queries) of a group: rows (query, head), head innermost.
struct QueryTile {
  std::int64_t first = 0, queries = 0, rows = 0;
};

std::int64_t queries_per_tile(const Attention& x);
std::int64_t query_tiles(const Attention& x);
std::int64_t key_tiles(const Attention& x);
QueryTile query_tile(const Attention& x, std::int64_t i);

Product attention_product(const Attention& x);

// Rows of a tile of q (or o, d_o) as f32[rows, d].
void load_rows(const Attention& x, const ReadRows& from, HeadGroup at, const QueryTile& tile,
               float* rows);
// The reverse, rounded to x.dtype.
void store_rows(const Attention& x, const float* rows, HeadGroup at, const QueryTile& tile,
                const WriteRows& to);
// Index of the first head of the group in an array [b s g r]; next query at + g * r.
std::int64_t head_index(const Attention& x, HeadGroup at, std::int64_t query);

// Lines = keys from `first` on, k = d.
Lines key_lines(const Attention& x, const ReadRows& from, HeadGroup at, std::int64_t first);
// Lines = d, k = keys.
Lines transposed(const Lines& lines);

void set_queries(const Attention& x, HeadGroup at, const QueryTile& tile, TileSide& side);
void set_keys(const Attention& x, HeadGroup at, std::int64_t first, TileSide& side);

// c[lines, d] += a[lines, k] * b (packed), of each panel of `a` only used[panel] of k. `a` is f32;
// it is packed to `packed` for bf16 products, else read where it lies.
struct UsedProduct {
  Lines a;
  std::int64_t lines, k;
  const std::vector<Range>& used;
  float* packed;
  const float* b;
  std::int64_t d;
  float* c;
};
void multiply_used(Product product, const UsedProduct& x);

}  // namespace autarky::cpu
