// Attention without the matrix of scores: memory linear in s and t (Dao et al., FlashAttention,
// 2022).
//   o[b s g r d] = sum_t softmax_t(scale * q[b s g r d] . k[b t g d], over visible t) v[b t g d]
// The r query heads of group g share its keys and values. Key j is visible to query i iff
//   k_pos[j] <= q_pos[i], k_seg[j] == q_seg[i] >= 0, and (window == 0 or q_pos[i] - k_pos[j] <
//   window).
// Products run as gemm's do (bf16 where operands are bf16 and the chip multiplies bf16), sums and
// softmax in f32. Bits do not depend on the thread count.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace autarky::cpu {

// [batch, row, heads...]: the heads of a row are neighbours; strides in elements.
template <class Pointer>
struct HeadRows {
  Pointer data = nullptr;
  std::int64_t batch_stride = 0, row_stride = 0;
};
using ReadRows = HeadRows<const void*>;
using WriteRows = HeadRows<void*>;

struct Attention {
  std::int64_t b = 0, s = 0, t = 0, g = 0, r = 0, d = 0;
  std::int64_t padding = 0;  // the last of the r: their o is 0
  DType dtype = DType::f32;  // of q, k, v, o and their gradients: f32 or bf16
  float scale = 1;
  std::int64_t window = 0;              // 0 = none
  ReadRows q, k, v;                     // [b s g r d], [b t g d], [b t g d]
  const std::int32_t* q_pos = nullptr;  // [b s]
  const std::int32_t* k_pos = nullptr;  // [b t]
  const std::int32_t* q_seg = nullptr;  // [b s]
  const std::int32_t* k_seg = nullptr;  // [b t]
};

// Also lse[b s g r] = log of the sum of exp of the scores. A query that sees nothing: o = 0,
// lse = -inf.
void attention_forward(const Attention& x, const WriteRows& o, float* lse);

struct AttentionGradient {
  ReadRows o;                  // as attention_forward wrote it
  const float* lse = nullptr;  // likewise
  ReadRows d_o;                // [b s g r d]
  WriteRows dq, dk, dv;        // shapes of q, k, v; overwritten
};
void attention_backward(const Attention& x, const AttentionGradient& gradient);

}  // namespace autarky::cpu
