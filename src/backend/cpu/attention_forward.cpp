#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/attention_core.h"
#include "backend/cpu/attention_rows.h"
#include "backend/cpu/attention_tiles.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"

namespace autarky::cpu {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

// One tile of queries against all keys.
class ForwardTask {
 public:
  void run(const Attention& x, HeadGroup at, const QueryTile& tile, const WriteRows& o,
           float* lse) {
    product_ = attention_product(x);
    start(x, at, tile);
    for (std::int64_t first = 0; first < x.t; first += kTileKeys) add_keys(x, at, tile, first);
    finish(x, at, tile, o, lse);
  }

 private:
  void start(const Attention& x, HeadGroup at, const QueryTile& tile) {
    const int height = panel_rows(product_), width = panel_cols(product_);
    o_ = o_memory_.get(tile.rows * x.d);
    load_rows(x, x.q, at, tile, o_);
    q_ = q_memory_.get(packed_words(product_, tile.rows, x.d, height));
    pack(product_, {o_, DType::f32, x.d, 1}, tile.rows, x.d, height, q_);
    std::fill_n(o_, tile.rows * x.d, 0.0f);
    k_ = k_memory_.get(packed_words(product_, kTileKeys, x.d, width));
    v_ = v_memory_.get(packed_words(product_, x.d, kTileKeys, width));
    scores_ = scores_memory_.get(tile.rows * kScoreStride);
    p_ = p_memory_.get(packed_words(product_, tile.rows, kTileKeys, height));
    states_.assign(std::size_t(tile.rows), {kNone, 0});
    set_queries(x, at, tile, queries_);
  }

  void add_keys(const Attention& x, HeadGroup at, const QueryTile& tile, std::int64_t first) {
    set_keys(x, at, first, keys_);
    if (!may_see(queries_.bounds, keys_.bounds, x.window)) return;
    const int height = panel_rows(product_), width = panel_cols(product_);
    const std::int64_t keys = keys_.count;
    const bool all = all_see(queries_.bounds, keys_.bounds, x.window) && keys % 16 == 0;
    if (all) ranges_.assign(std::size_t((tile.rows + height - 1) / height), {0, keys});
    else key_ranges(queries_, keys_, x.window, height, ranges_);
    pack(product_, key_lines(x, x.k, at, first), keys, x.d, width, k_);
    multiply(product_,
             {q_, tile.rows, k_, keys, x.d, scores_, kScoreStride, false, ranges_.data(), nullptr});
    softmax(x, tile, all);
    pack(product_, transposed(key_lines(x, x.v, at, first)), x.d, keys, width, v_);
    multiply_used(
        product_,
        {{scores_, DType::f32, kScoreStride, 1}, tile.rows, keys, ranges_, p_, v_, x.d, o_});
  }

  void softmax(const Attention& x, const QueryTile& tile, bool all) {
    const int height = panel_rows(product_);
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const std::size_t i = std::size_t(row);
      const RowMask mask{&keys_,
                         queries_.pos[i],
                         queries_.seg[i],
                         std::int32_t(x.window),
                         all,
                         ranges_[i / std::size_t(height)]};
      const float factor = softmax_row(mask, x.scale, scores_ + row * kScoreStride, states_[i]);
      if (factor != 1) scale_row(factor, x.d, o_ + row * x.d);
    }
  }

  void finish(const Attention& x, HeadGroup at, const QueryTile& tile, const WriteRows& o,
              float* lse) {
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const RowState state = states_[std::size_t(row)];
      scale_row(state.sum > 0 ? 1 / state.sum : 0.0f, x.d, o_ + row * x.d);
      const std::int64_t query = tile.first + row / x.r;
      lse[head_index(x, at, query) + row % x.r] =
          state.sum > 0 ? state.max + std::log(state.sum) : kNone;
    }
    store_rows(x, o_, at, tile, o);
  }

  Product product_ = Product::f32;
  Scratch o_memory_, q_memory_, k_memory_, v_memory_, scores_memory_, p_memory_;
  float *o_, *q_, *k_, *v_;  // o[rows, d], the others packed
  float *scores_, *p_;       // scores[rows, kScoreStride], p packed
  std::vector<RowState> states_;
  TileSide queries_, keys_;
  std::vector<Range> ranges_;  // of keys, per panel of rows
};

}  // namespace

void attention_forward(const Attention& x, const WriteRows& o, float* lse) {
  const std::int64_t heads = x.b * x.g, tiles = query_tiles(x);
  parallel_for(heads * tiles, [&](std::int64_t i, int) {
    thread_local ForwardTask task;
    // Late queries see the most keys: the long tasks first.
    const HeadGroup at{i % heads / x.g, i % heads % x.g};
    task.run(x, at, query_tile(x, tiles - 1 - i / heads), o, lse);
  });
}

}  // namespace autarky::cpu
