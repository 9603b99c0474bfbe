// What the forward and backward passes of attention share: tiles of queries and
// keys.
#pragma once
#include <vector>

#include "backend/cpu/attention_core.h"
#include "backend/cpu/attention_mask.h"
#include "backend/cpu/onednn_tile.h"

namespace autarky::cpu {

inline constexpr std::int64_t kQueryRows = 192;  // rows (query, head) of a tile, about
inline constexpr std::int64_t kTileKeys = 128;
inline constexpr std::int64_t kScoreStride = kTileKeys + 16;  // no power of two: spreads over L1

// One group of heads of one sequence.
struct HeadGroup {
  std::int64_t batch = 0, group = 0;
};

// The queries [first, first + queries) of a group: rows (query, head), head
// innermost.
struct QueryTile {
  std::int64_t first = 0, queries = 0, rows = 0;
};

std::int64_t queries_per_tile(const Attention& x);
std::int64_t query_tiles(const Attention& x);
std::int64_t key_tiles(const Attention& x);
QueryTile query_tile(const Attention& x, std::int64_t i);

// Rows of a tile of q (or o, d_o) as [rows, d] of `dtype`: x.dtype, or f32.
Operand load_rows(const Attention& x, const ReadRows& from, HeadGroup at, const QueryTile& tile,
                  DType dtype, float* memory);
// The reverse, rounded to x.dtype.
void store_rows(const Attention& x, const float* rows, HeadGroup at, const QueryTile& tile,
                const WriteRows& to);
// Index of the first head of the group in an array [b s g r]; next query at + g
// * r.
std::int64_t head_index(const Attention& x, HeadGroup at, std::int64_t query);

// The keys (or values) from `first` on where they lie: [keys, d].
Operand key_rows(const Attention& x, const ReadRows& from, HeadGroup at, std::int64_t first);

void set_queries(const Attention& x, HeadGroup at, const QueryTile& tile, TileSide& side);
void set_keys(const Attention& x, HeadGroup at, std::int64_t first, TileSide& side);

// scores[strip] (row stride kScoreStride) as a factor of a product of `dtype`:
// itself, or rounded to bf16 in `memory`.
Operand factor(const Strip& strip, const float* scores, DType dtype, float* memory);

}  // namespace autarky::cpu
