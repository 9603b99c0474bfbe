// Rows of logits: exponentials by blocks of the vocabulary, so that one pass over a tile suffices.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace autarky::cpu {

inline constexpr std::int64_t kVocabBlock = 16;  // divides the columns of every tile of gemm

// Of one row, per block: the greatest logit, and the sum of exp(logit - greatest).
struct VocabBlocks {
  float *max, *sum;
};

// n logits become exp(logit - max of their block); the last block may be shorter.
void exp_by_block(float* logits, std::int64_t n, const VocabBlocks& blocks);

// log of the sum of exponentials over `count` blocks.
float log_sum_exp(const VocabBlocks& blocks, std::int64_t count);

// What exp_by_block left, stored as `dtype` [v], becomes scale * exp(logit - lse). Overwrites sum.
void softmax_from_blocks(const VocabBlocks& blocks, float scale, float lse, DType dtype,
                         std::int64_t v, void* values);

// values = scale * exp(logit - lse), stored as `dtype`; may be in place as f32.
void scaled_softmax(float scale, float lse, std::int64_t n, const float* logits, DType dtype,
                    void* values);

}  // namespace autarky::cpu
