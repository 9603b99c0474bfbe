#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/attention_core.h"
#include "backend/cpu/attention_rows.h"
#include "backend/cpu/attention_tiles.h"
#include "backend/cpu/convert.h"
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
    product_ = product_dtype(x.dtype, x.dtype);
    start(x, at, tile);
    for (std::int64_t first = 0; first < x.t; first += kTileKeys) add_keys(x, at, first);
    finish(x, at, tile, o, lse);
  }

 private:
  void start(const Attention& x, HeadGroup at, const QueryTile& tile) {
    q_ = load_rows(x, x.q, at, tile, product_, q_memory_.get(tile.rows * x.d));
    o_ = o_memory_.get(tile.rows * x.d);
    std::fill_n(o_, tile.rows * x.d, 0.0f);
    scores_ = scores_memory_.get(tile.rows * kScoreStride);
    states_.assign(std::size_t(tile.rows), {kNone, 0});
    set_queries(x, at, tile, queries_);
  }

  void add_keys(const Attention& x, HeadGroup at, std::int64_t first) {
    set_keys(x, at, first, keys_);
    if (!may_see(queries_.bounds, keys_.bounds, x.window)) return;
    all_ = all_see(queries_.bounds, keys_.bounds, x.window) && keys_.count % 16 == 0;
    make_strips(queries_, keys_, x.window, all_, strips_);
    const auto ready = [&](const ReadRows& from, Scratch& memory) {
      return as_dtype(key_rows(x, from, at, first), product_, keys_.count, x.d,
                      memory.get(kTileKeys * x.d));
    };
    const Operand k = ready(x.k, k_memory_), v = ready(x.v, v_memory_);
    for (const Strip& strip : strips_) add_strip(x, strip, k, v);
  }

  void add_strip(const Attention& x, const Strip& strip, const Operand& k, const Operand& v) {
    const std::int64_t rows = strip.rows.size(), keys = strip.keys.size();
    float* scores = scores_ + strip.rows.begin * kScoreStride + strip.keys.begin;
    multiply({rows, keys, x.d, q_.from(strip.rows.begin, 0),
              k.from(strip.keys.begin, 0).transposed(), scores, kScoreStride, false});
    softmax(x, strip);
    const Operand p = factor(strip, scores_, product_, p_memory_.get(rows * kScoreStride));
    multiply(
        {rows, x.d, keys, p, v.from(strip.keys.begin, 0), o_ + strip.rows.begin * x.d, x.d, true});
  }

  void softmax(const Attention& x, const Strip& strip) {
    for (std::int64_t row = strip.rows.begin; row < strip.rows.end; ++row) {
      const std::size_t i = std::size_t(row);
      const RowMask mask{&keys_, queries_.pos[i], queries_.seg[i], std::int32_t(x.window),
                         all_,   strip.keys};
      const float change = softmax_row(mask, x.scale, scores_ + row * kScoreStride, states_[i]);
      if (change != 1) scale_row(change, x.d, o_ + row * x.d);
    }
  }

  void finish(const Attention& x, HeadGroup at, const QueryTile& tile, const WriteRows& o,
              float* lse) {
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const RowState state = states_[std::size_t(row)];
      const bool zero = !(state.sum > 0) || row % x.r >= x.r - x.padding;
      scale_row(zero ? 0.0f : 1 / state.sum, x.d, o_ + row * x.d);
      const std::int64_t query = tile.first + row / x.r;
      lse[head_index(x, at, query) + row % x.r] =
          state.sum > 0 ? state.max + std::log(state.sum) : kNone;
    }
    store_rows(x, o_, at, tile, o);
  }

  DType product_ = DType::f32;
  Scratch o_memory_, q_memory_, k_memory_, v_memory_, scores_memory_, p_memory_;
  Operand q_;           // [rows, d]
  float *o_, *scores_;  // [rows, d], [rows, kScoreStride]
  std::vector<RowState> states_;
  TileSide queries_, keys_;
  bool all_ = false;  // every query of the tile sees every key
  std::vector<Strip> strips_;
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
