#include "backend/cpu/vocab_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/vocab_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

HWY_INLINE float greatest(const float* x, std::int64_t n) {
  float rest = -std::numeric_limits<float>::infinity();
  Floats top = all(rest);
  const std::int64_t whole = n / lanes() * lanes();
  for (std::int64_t i = 0; i < whole; i += lanes()) top = hn::Max(top, load(x + i));
  for (std::int64_t i = whole; i < n; ++i) rest = std::max(rest, x[i]);
  return std::max(rest, hn::GetLane(hn::MaxOfLanes(kFloats, top)));
}

void exp_rows(float* logits, std::int64_t n, const VocabBlocks& blocks) {
  for (std::int64_t first = 0; first < n; first += kVocabBlock) {
    float* x = logits + first;
    const std::int64_t size = std::min(kVocabBlock, n - first);
    const float top = greatest(x, size);
    Floats sum = hn::Zero(kFloats);
    each_vector(size, [&](std::int64_t i, auto part) HWY_ATTR {
      const Floats value = exp(hn::Sub(load(x + i, part), all(top)));
      sum = hn::Add(sum, keep(value, part));
      store(value, x + i, part);
    });
    blocks.max[first / kVocabBlock] = top;
    blocks.sum[first / kVocabBlock] = sum_of(sum);
  }
}

float sum_blocks(const VocabBlocks& blocks, std::int64_t count) {
  const float top = greatest(blocks.max, count);
  Floats sum = hn::Zero(kFloats);
  each_vector(count, [&](std::int64_t i, auto part) HWY_ATTR {
    const Floats factor = exp(hn::Sub(load(blocks.max + i, part), all(top)));
    sum = hn::MulAdd(factor, load(blocks.sum + i, part), sum);
  });
  return float(double(top) + std::log(double(sum_of(sum))));
}

void exp_of_row(float scale, float lse, std::int64_t n, const float* x, DType dtype, void* values) {
  with_storage(dtype, [&](auto element) HWY_ATTR {
    auto* y = static_cast<decltype(element)*>(values);
    each_vector(n, [&](std::int64_t i, auto part) HWY_ATTR {
      store(hn::Mul(all(scale), exp(hn::Sub(load(x + i, part), all(lse)))), y + i, part);
    });
  });
}

void scale_blocks(const float* factors, DType dtype, std::int64_t v, void* values) {
  with_storage(dtype, [&](auto element) HWY_ATTR {
    auto* x = static_cast<decltype(element)*>(values);
    for (std::int64_t first = 0; first < v; first += kVocabBlock) {
      const Floats factor = all(factors[first / kVocabBlock]);
      auto* block = x + first;
      each_vector(std::min(kVocabBlock, v - first), [&](std::int64_t i, auto part) HWY_ATTR {
        store(hn::Mul(factor, load(block + i, part)), block + i, part);
      });
    }
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(exp_rows);
HWY_EXPORT(sum_blocks);
HWY_EXPORT(exp_of_row);
HWY_EXPORT(scale_blocks);

void exp_by_block(float* logits, std::int64_t n, const VocabBlocks& blocks) {
  HWY_DYNAMIC_DISPATCH(exp_rows)(logits, n, blocks);
}

float log_sum_exp(const VocabBlocks& blocks, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(sum_blocks)(blocks, count);
}

void softmax_from_blocks(const VocabBlocks& blocks, float scale, float lse, DType dtype,
                         std::int64_t v, void* values) {
  const std::int64_t count = (v + kVocabBlock - 1) / kVocabBlock;
  std::copy_n(blocks.max, count, blocks.sum);
  scaled_softmax(scale, lse, count, blocks.sum, DType::f32, blocks.sum);
  HWY_DYNAMIC_DISPATCH(scale_blocks)(blocks.sum, dtype, v, values);
}

void scaled_softmax(float scale, float lse, std::int64_t n, const float* logits, DType dtype,
                    void* values) {
  HWY_DYNAMIC_DISPATCH(exp_of_row)(scale, lse, n, logits, dtype, values);
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
