#include <algorithm>
#include <vector>

#include "backend/cpu/attention_core.h"
#include "backend/cpu/attention_rows.h"
#include "backend/cpu/attention_tiles.h"
#include "backend/cpu/convert.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"

namespace autarky::cpu {
namespace {

constexpr std::int64_t kEnoughTasks = 16;

// Every `step`-th tile of keys from `first` on, for one group of heads.
struct KeyShare {
  std::int64_t first = 0, step = 1;
};

// dk and dv of a share of the keys, and its part of dq.
// With p = exp(scale q.k - lse), delta = rowsum(do * o):
//   dv = p^T do, dp = do v^T, ds = scale p (dp - delta), dq = ds k, dk = ds^T q.
class BackwardTask {
 public:
  // dq[s * r, d] f32, overwritten.
  void run(const Attention& x, const AttentionGradient& grad, HeadGroup at, KeyShare share,
           float* dq) {
    allocate(x);
    std::fill_n(dq, x.s * x.r * x.d, 0.0f);
    compute_delta(x, grad, at);
    for (std::int64_t i = share.first; i < key_tiles(x); i += share.step) {
      start_keys(x, at, i * kTileKeys);
      for (std::int64_t j = 0; j < query_tiles(x); ++j)
        add_queries(x, grad, at, query_tile(x, j), dq);
      store_keys(x, at, i * kTileKeys, dk_, grad.dk);
      store_keys(x, at, i * kTileKeys, dv_, grad.dv);
    }
  }
  float* own_dq(std::int64_t floats) { return dq_memory_.get(floats); }

 private:
  void allocate(const Attention& x) {
    product_ = attention_product(x);
    height_ = panel_rows(product_), width_ = panel_cols(product_);
    const std::int64_t rows = queries_per_tile(x) * x.r;
    const std::int64_t wide_d = round_up(x.d, width_);
    const std::int64_t rows_by_d = packed_words(product_, rows, x.d, height_);
    const std::int64_t keys_by_d = packed_words(product_, kTileKeys, x.d, width_);
    const std::int64_t d_by_rows = wide_d * packed_depth(product_, rows);
    const std::int64_t d_by_keys = wide_d * packed_depth(product_, kTileKeys);
    const std::int64_t scores = std::max(rows * kScoreStride, x.r * x.d);
    const std::int64_t packed = std::max(packed_words(product_, rows, kTileKeys, height_),
                                         packed_words(product_, kTileKeys, rows, height_));
    const std::int64_t sizes[] = {rows * x.d,      rows_by_d,       rows_by_d, d_by_rows,
                                  d_by_rows,       keys_by_d,       keys_by_d, d_by_keys,
                                  kTileKeys * x.d, kTileKeys * x.d, scores,    scores,
                                  packed,          x.s * x.r,       x.s * x.r};
    float** const places[] = {&rows_, &q_,  &do_,        &q_columns_, &do_columns_,
                              &k_,    &v_,  &k_columns_, &dk_,        &dv_,
                              &p_,    &ds_, &packed_,    &delta_,     &lse_};
    std::int64_t total = 0;
    for (const std::int64_t size : sizes) total += round_up(size, 16);
    float* next = memory_.get(total);
    for (std::size_t i = 0; i < std::size(sizes); ++i) {
      *places[i] = next;
      next += round_up(sizes[i], 16);
    }
  }

  // delta and lse as [s * r].
  void compute_delta(const Attention& x, const AttentionGradient& grad, HeadGroup at) {
    float* const o = p_;  // p and ds are not in use yet
    float* const d_o = ds_;
    for (std::int64_t query = 0; query < x.s; ++query) {
      const QueryTile one{query, 1, x.r};
      load_rows(x, grad.o, at, one, o);
      load_rows(x, grad.d_o, at, one, d_o);
      for (std::int64_t i = 0; i < x.r; ++i) {
        delta_[query * x.r + i] = dot(o + i * x.d, d_o + i * x.d, x.d);
        lse_[query * x.r + i] = grad.lse[head_index(x, at, query) + i];
      }
    }
  }

  void start_keys(const Attention& x, HeadGroup at, std::int64_t first) {
    set_keys(x, at, first, keys_);
    const Lines k = key_lines(x, x.k, at, first), v = key_lines(x, x.v, at, first);
    pack(product_, k, keys_.count, x.d, width_, k_);
    pack(product_, v, keys_.count, x.d, width_, v_);
    pack(product_, transposed(k), x.d, keys_.count, width_, k_columns_);
    std::fill_n(dk_, kTileKeys * x.d, 0.0f);
    std::fill_n(dv_, kTileKeys * x.d, 0.0f);
  }

  void add_queries(const Attention& x, const AttentionGradient& grad, HeadGroup at,
                   const QueryTile& tile, float* dq) {
    set_queries(x, at, tile, queries_);
    if (!may_see(queries_.bounds, keys_.bounds, x.window)) return;
    const std::int64_t rows = tile.rows, keys = keys_.count;
    all_ = all_see(queries_.bounds, keys_.bounds, x.window) && keys % 16 == 0;
    set_ranges(x, rows, keys);
    load_packed(x, x.q, at, tile, q_, q_columns_);
    load_packed(x, grad.d_o, at, tile, do_, do_columns_);
    multiply(product_,
             {q_, rows, k_, keys, x.d, p_, kScoreStride, false, keys_of_.data(), nullptr});
    multiply(product_,
             {do_, rows, v_, keys, x.d, ds_, kScoreStride, false, keys_of_.data(), nullptr});
    softmax_gradient(x, tile);
    const Lines p{p_, DType::f32, kScoreStride, 1}, ds{ds_, DType::f32, kScoreStride, 1};
    multiply_used(product_, {transposed(p), keys, rows, rows_of_, packed_, do_columns_, x.d, dv_});
    multiply_used(product_, {transposed(ds), keys, rows, rows_of_, packed_, q_columns_, x.d, dk_});
    multiply_used(product_, {ds, rows, keys, keys_of_, packed_, k_columns_, x.d,
                             dq + tile.first * x.r * x.d});
  }

  void set_ranges(const Attention& x, std::int64_t rows, std::int64_t keys) {
    if (all_) {
      keys_of_.assign(std::size_t((rows + height_ - 1) / height_), {0, keys});
      rows_of_.assign(std::size_t((keys + height_ - 1) / height_), {0, rows});
    } else {
      key_ranges(queries_, keys_, x.window, height_, keys_of_);
      row_ranges(queries_, keys_, x.window, height_, rows_of_);
    }
  }

  // A tile of q or d_o as panels of A (rows, d) and as panels of B (d, rows).
  void load_packed(const Attention& x, const ReadRows& from, HeadGroup at, const QueryTile& tile,
                   float* a, float* b) {
    load_rows(x, from, at, tile, rows_);
    pack(product_, {rows_, DType::f32, x.d, 1}, tile.rows, x.d, height_, a);
    pack(product_, {rows_, DType::f32, 1, x.d}, x.d, tile.rows, width_, b);
  }

  void softmax_gradient(const Attention& x, const QueryTile& tile) {
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const std::size_t i = std::size_t(row);
      const RowMask mask{&keys_,
                         queries_.pos[i],
                         queries_.seg[i],
                         std::int32_t(x.window),
                         all_,
                         keys_of_[i / std::size_t(height_)]};
      const std::int64_t at = tile.first * x.r + row;
      softmax_gradient_row(mask, x.scale, lse_[at], delta_[at], round_up(keys_.count, 16),
                           p_ + row * kScoreStride, ds_ + row * kScoreStride);
    }
  }

  void store_keys(const Attention& x, HeadGroup at, std::int64_t first, const float* from,
                  const WriteRows& to) {
    for (std::int64_t i = 0; i < keys_.count; ++i) {
      const std::int64_t offset =
          at.batch * to.batch_stride + (first + i) * to.row_stride + at.group * x.d;
      store_row(from + i * x.d, x.d, x.dtype,
                static_cast<char*>(to.data) + offset * byte_size(x.dtype));
    }
  }

  Product product_ = Product::f32;
  int height_ = 0, width_ = 0;
  Scratch memory_, dq_memory_;
  float *rows_, *q_, *do_, *q_columns_, *do_columns_, *k_, *v_, *k_columns_;
  float *dk_, *dv_, *p_, *ds_, *packed_, *delta_, *lse_;
  TileSide queries_, keys_;
  bool all_ = false;
  std::vector<Range> keys_of_, rows_of_;  // per panel of rows, per panel of keys
};

BackwardTask& own_task() {
  thread_local BackwardTask task;
  return task;
}

void store_dq(const Attention& x, const float* dq, HeadGroup at, const WriteRows& to) {
  store_rows(x, dq, at, {0, x.s, x.s * x.r}, to);
}

}  // namespace

void attention_backward(const Attention& x, const AttentionGradient& grad) {
  const std::int64_t heads = x.b * x.g, floats = x.s * x.r * x.d;
  if (heads == 0) return;
  const std::int64_t shares =
      std::clamp<std::int64_t>(kEnoughTasks / heads, 1, std::max<std::int64_t>(key_tiles(x), 1));
  std::vector<float> parts(std::size_t(shares > 1 ? heads * shares * floats : 0));
  parallel_for(heads * shares, [&](std::int64_t i, int) {
    const std::int64_t head = i / shares;
    const HeadGroup at{head / x.g, head % x.g};
    float* dq = shares > 1 ? parts.data() + i * floats : own_task().own_dq(floats);
    own_task().run(x, grad, at, {i % shares, shares}, dq);
    if (shares == 1) store_dq(x, dq, at, grad.dq);
  });
  if (shares == 1) return;
  parallel_for(heads, [&](std::int64_t head, int) {
    float* dq = parts.data() + head * shares * floats;
    for (std::int64_t i = 1; i < shares; ++i) add_row(dq + i * floats, floats, dq);
    store_dq(x, dq, {head / x.g, head % x.g}, grad.dq);
  });
}

}  // namespace autarky::cpu
