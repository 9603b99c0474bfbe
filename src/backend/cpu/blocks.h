// Cutting extents into blocks.
#pragma once
#include <cstdint>

namespace autarky::cpu {

struct Range {
  std::int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
  std::int64_t size() const { return end - begin; }
};

constexpr std::int64_t ceil_div(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }
constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return ceil_div(n, to) * to; }

}  // namespace autarky::cpu
