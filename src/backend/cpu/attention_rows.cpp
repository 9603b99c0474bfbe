#include "backend/cpu/attention_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::ScalableTag<float> kFloats;
constexpr hn::RebindToSigned<hn::ScalableTag<float>> kInts;
using Floats = hn::Vec<decltype(kFloats)>;
HWY_INLINE std::int64_t lanes() { return std::int64_t(hn::Lanes(kFloats)); }
constexpr float kNone = -std::numeric_limits<float>::infinity();

// e^x for x <= 0 (a little more is fine), relative error below 1.5e-7; 0 below
// -87. x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its series to r^7 / 7!, 2^n by
// the exponent's bits.
HWY_INLINE Floats exp(Floats x) {
  const Floats n =
      hn::Round(hn::Mul(hn::Max(x, hn::Set(kFloats, -87.0f)), hn::Set(kFloats, 1.44269504f)));
  const Floats high =
      hn::NegMulAdd(n, hn::Set(kFloats, 0.693359375f), hn::Max(x, hn::Set(kFloats, -87.0f)));
  const Floats r = hn::NegMulAdd(n, hn::Set(kFloats, -2.12194440e-4f), high);
  Floats p = hn::Set(kFloats, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(kFloats, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(kInts, n));
  const Floats result = hn::BitCast(kFloats, hn::Add(hn::BitCast(kInts, p), exponent));
  return hn::IfThenElseZero(hn::Ge(x, hn::Set(kFloats, -87.0f)), result);
}

// x where the key at `i` is visible, else `otherwise`.
HWY_INLINE Floats where_visible(const RowMask& m, std::int64_t i, Floats x, Floats otherwise) {
  const auto pos = hn::LoadU(kInts, m.keys->pos.data() + i);
  const auto seg = hn::LoadU(kInts, m.keys->seg.data() + i);
  const auto query = hn::Set(kInts, m.pos);
  auto visible = hn::AndNot(hn::Gt(pos, query), hn::Eq(seg, hn::Set(kInts, m.seg)));
  if (m.window > 0)
    visible = hn::And(visible, hn::Lt(hn::Sub(query, pos), hn::Set(kInts, m.window)));
  return hn::IfThenElse(hn::RebindMask(kFloats, visible), x, otherwise);
}

float softmax(const RowMask& m, float scale, float* scores, RowState& state) {
  if (m.range.empty() || m.seg < 0) {
    std::fill(scores + m.range.begin, scores + m.range.end, 0.0f);
    return 1;
  }
  Floats highest = hn::Set(kFloats, kNone);
  for (std::int64_t i = m.range.begin; i < m.range.end; i += lanes()) {
    Floats x = hn::Mul(hn::LoadU(kFloats, scores + i), hn::Set(kFloats, scale));
    if (!m.all) x = where_visible(m, i, x, hn::Set(kFloats, kNone));
    hn::StoreU(x, kFloats, scores + i);
    highest = hn::Max(highest, x);
  }
  const float max = std::max(state.max, hn::GetLane(hn::MaxOfLanes(kFloats, highest)));
  // A row without any key so far: exp(-inf - 0) = 0.
  const Floats shift = hn::Set(kFloats, max == kNone ? 0.0f : max);
  Floats sum = hn::Zero(kFloats);
  for (std::int64_t i = m.range.begin; i < m.range.end; i += lanes()) {
    const Floats p = exp(hn::Sub(hn::LoadU(kFloats, scores + i), shift));
    hn::StoreU(p, kFloats, scores + i);
    sum = hn::Add(sum, p);
  }
  const float factor = state.max == kNone ? 0.0f : std::exp(state.max - max);
  state.sum = state.sum * factor + hn::GetLane(hn::SumOfLanes(kFloats, sum));
  const bool same = state.max == max;
  state.max = max;
  return same ? 1.0f : factor;
}

void softmax_gradient(const RowMask& m, float scale, float lse, float delta, float* scores,
                      float* dp) {
  const std::int64_t begin = m.range.begin, end = m.range.end;
  if (m.range.empty() || m.seg < 0 || lse == kNone) {
    std::fill(scores + begin, scores + end, 0.0f);
    std::fill(dp + begin, dp + end, 0.0f);
    return;
  }
  const Floats factor = hn::Set(kFloats, scale), shift = hn::Set(kFloats, -lse);
  for (std::int64_t i = begin; i < end; i += lanes()) {
    Floats p = exp(hn::MulAdd(hn::LoadU(kFloats, scores + i), factor, shift));
    Floats ds = hn::Sub(hn::LoadU(kFloats, dp + i), hn::Set(kFloats, delta));
    ds = hn::Mul(hn::Mul(p, ds), factor);
    if (!m.all) p = where_visible(m, i, p, hn::Zero(kFloats));
    if (!m.all) ds = where_visible(m, i, ds, hn::Zero(kFloats));
    hn::StoreU(p, kFloats, scores + i);
    hn::StoreU(ds, kFloats, dp + i);
  }
}

void scale_all(float factor, std::int64_t n, float* row) {
  std::int64_t i = 0;
  for (; i + lanes() <= n; i += lanes())
    hn::StoreU(hn::Mul(hn::LoadU(kFloats, row + i), hn::Set(kFloats, factor)), kFloats, row + i);
  for (; i < n; ++i) row[i] *= factor;
}

float dot_product(const float* a, const float* b, std::int64_t n) {
  Floats sum = hn::Zero(kFloats);
  std::int64_t i = 0;
  for (; i + lanes() <= n; i += lanes())
    sum = hn::MulAdd(hn::LoadU(kFloats, a + i), hn::LoadU(kFloats, b + i), sum);
  float total = hn::GetLane(hn::SumOfLanes(kFloats, sum));
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

}  // namespace
}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(softmax);
HWY_EXPORT(softmax_gradient);
HWY_EXPORT(scale_all);
HWY_EXPORT(dot_product);

float softmax_row(const RowMask& mask, float scale, float* scores, RowState& state) {
  return HWY_DYNAMIC_DISPATCH(softmax)(mask, scale, scores, state);
}

void softmax_gradient_row(const RowMask& mask, float scale, float lse, float delta, float* scores,
                          float* dp) {
  HWY_DYNAMIC_DISPATCH(softmax_gradient)(mask, scale, lse, delta, scores, dp);
}

void scale_row(float factor, std::int64_t n, float* row) {
  HWY_DYNAMIC_DISPATCH(scale_all)(factor, n, row);
}

float dot(const float* a, const float* b, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(dot_product)(a, b, n);
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
