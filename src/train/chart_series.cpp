#include <algorithm>
#include <cmath>

#include "train/chart.h"

namespace autarky {

std::vector<ChartPoint> downsample(const std::vector<ChartPoint>& points, std::size_t buckets) {
  const std::size_t n = points.size();
  if (n <= 2 * buckets) return points;
  std::vector<ChartPoint> kept{points.front()};
  const auto below = [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; };
  for (std::size_t i = 0; i + 1 < buckets; ++i) {
    const auto first = points.begin() + std::ptrdiff_t(1 + i * (n - 2) / (buckets - 1));
    const auto last = points.begin() + std::ptrdiff_t(1 + (i + 1) * (n - 2) / (buckets - 1));
    const auto broken = std::find_if(first, last, [](auto p) { return !std::isfinite(p.y); });
    if (broken != last) {
      kept.push_back(*broken);  // a gap stays a gap
      continue;
    }
    const auto [least, greatest] = std::minmax_element(first, last, below);
    kept.push_back(least < greatest ? *least : *greatest);
    if (least != greatest) kept.push_back(least < greatest ? *greatest : *least);
  }
  kept.push_back(points.back());
  return kept;
}

std::vector<ChartPoint> smooth(std::vector<ChartPoint> points) {
  std::erase_if(points, [](const auto& p) { return !std::isfinite(p.y); });
  const std::size_t n = points.size(), half = n / 80;
  std::vector<double> sums{0};
  for (const auto& p : points) sums.push_back(sums.back() + p.y);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t first = i - std::min(i, half), last = std::min(i + half + 1, n);
    points[i].y = (sums[last] - sums[first]) / double(last - first);
  }
  return points;
}

}  // namespace autarky
