// The softmax of one row of a tile of scores, and its gradient.
#pragma once
#include <cstdint>

#include "backend/cpu/attention_mask.h"

namespace autarky::cpu {

// A row's view of a tile's keys. Arrays are padded to 16 (TileSide).
struct RowMask {
  const TileSide* keys = nullptr;
  std::int32_t pos = 0, seg = 0;  // of the query
  std::int32_t window = 0;
  bool all = false;  // every key of the range is visible
  Range range;       // begin is a multiple of 16; keys outside count as invisible
};

// Running softmax of a row. After all tiles: sum of exp(score - max).
struct RowState {
  float max, sum;
};

// scores[range] become exp(scale * score - max) (0 where invisible), up to the
// next multiple of 16. Updates the state; returns what earlier sums must be
// multiplied by.
float softmax_row(const RowMask& mask, float scale, float* scores, RowState& state);

// scores[range] become p = exp(scale * score - lse), dp[range] become scale * p
// * (dp - delta); both 0 where invisible; up to the next multiple of 16.
void softmax_gradient_row(const RowMask& mask, float scale, float lse, float delta, float* scores,
                          float* dp);

void scale_row(float factor, std::int64_t n, float* row);
float dot(const float* a, const float* b, std::int64_t n);

}  // namespace autarky::cpu
