// The median that all our timings and thresholds use.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace autarky {

// Of the finite values, the upper of two in the middle; NaN where there are none.
inline double median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return std::nan("");
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace autarky
