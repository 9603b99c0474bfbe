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
//   dv = p^T do, dp = do v^T, ds = scale p (dp - delta), dq = ds k, dk = ds^T
//   q.
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
    product_ = product_dtype(x.dtype, x.dtype);
    const std::int64_t rows = queries_per_tile(x) * x.r, by_d = rows * x.d;
    const std::int64_t keys_by_d = kTileKeys * x.d;
    const std::int64_t scores = std::max(rows * kScoreStride, x.r * x.d);
    const std::int64_t sizes[] = {by_d,   by_d,   keys_by_d, keys_by_d, keys_by_d, keys_by_d,
                                  scores, scores, scores,    x.s * x.r, x.s * x.r};
    float** const places[] = {&q_, &do_, &k_,       &v_,     &dk_, &dv_,
                              &p_, &ds_, &rounded_, &delta_, &lse_};
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
      load_rows(x, grad.o, at, one, DType::f32, o);
      load_rows(x, grad.d_o, at, one, DType::f32, d_o);
      for (std::int64_t i = 0; i < x.r; ++i) {
        delta_[query * x.r + i] = dot(o + i * x.d, d_o + i * x.d, x.d);
        lse_[query * x.r + i] = grad.lse[head_index(x, at, query) + i];
      }
    }
  }

  void start_keys(const Attention& x, HeadGroup at, std::int64_t first) {
    set_keys(x, at, first, keys_);
    k_tile_ = as_dtype(key_rows(x, x.k, at, first), product_, keys_.count, x.d, k_);
    v_tile_ = as_dtype(key_rows(x, x.v, at, first), product_, keys_.count, x.d, v_);
    std::fill_n(dk_, kTileKeys * x.d, 0.0f);
    std::fill_n(dv_, kTileKeys * x.d, 0.0f);
  }

  void add_queries(const Attention& x, const AttentionGradient& grad, HeadGroup at,
                   const QueryTile& tile, float* dq) {
    set_queries(x, at, tile, queries_);
    if (!may_see(queries_.bounds, keys_.bounds, x.window)) return;
    all_ = all_see(queries_.bounds, keys_.bounds, x.window) && keys_.count % 16 == 0;
    make_strips(queries_, keys_, x.window, all_, strips_);
    q_tile_ = load_rows(x, x.q, at, tile, product_, q_);
    do_tile_ = load_rows(x, grad.d_o, at, tile, product_, do_);
    for (const Strip& strip : strips_) add_strip(x, strip, tile.first * x.r, dq);
  }

  // first: the tile's first row of dq, delta and lse.
  void add_strip(const Attention& x, const Strip& strip, std::int64_t first, float* dq) {
    const auto [rows, keys] = strip;
    const std::int64_t m = rows.size(), n = keys.size(), d = x.d;
    const std::int64_t at = rows.begin * kScoreStride + keys.begin;
    const Operand q = q_tile_.from(rows.begin, 0), d_o = do_tile_.from(rows.begin, 0);
    const Operand k = k_tile_.from(keys.begin, 0), v = v_tile_.from(keys.begin, 0);
    multiply({m, n, d, q, k.transposed(), p_ + at, kScoreStride, false});
    multiply({m, n, d, d_o, v.transposed(), ds_ + at, kScoreStride, false});
    softmax_gradient(x, strip, first);
    const Operand p = factor(strip, p_, product_, rounded_);
    multiply({n, d, m, p.transposed(), d_o, dv_ + keys.begin * d, d, true});
    const Operand ds = factor(strip, ds_, product_, rounded_);
    multiply({n, d, m, ds.transposed(), q, dk_ + keys.begin * d, d, true});
    multiply({m, d, n, ds, k, dq + (first + rows.begin) * d, d, true});
  }

  void softmax_gradient(const Attention& x, const Strip& strip, std::int64_t first) {
    for (std::int64_t row = strip.rows.begin; row < strip.rows.end; ++row) {
      const std::size_t i = std::size_t(row);
      const RowMask mask{&keys_, queries_.pos[i], queries_.seg[i], std::int32_t(x.window),
                         all_,   strip.keys};
      softmax_gradient_row(mask, x.scale, lse_[first + row], delta_[first + row],
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

  DType product_ = DType::f32;
  Scratch memory_, dq_memory_;
  float *q_, *do_, *k_, *v_;  // copies of a tile, where they need one
  float *dk_, *dv_, *p_, *ds_, *rounded_, *delta_, *lse_;
  Operand q_tile_, do_tile_, k_tile_, v_tile_;  // [rows, d] and [keys, d]
  TileSide queries_, keys_;
  bool all_ = false;  // every query of the tile sees every key
  std::vector<Strip> strips_;
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
