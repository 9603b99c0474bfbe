// The bf16 multiply-add loop of measure_peaks.
#pragma once
#include <cstdint>

namespace autarky::cpu {

// `turns` rounds of 12 independent multiply-adds of bf16 pairs; returns the
// flop done. `sink` keeps them alive. Only where native_bf16_products().
double bf16_multiply_adds(std::int64_t turns, float* sink);

}  // namespace autarky::cpu
