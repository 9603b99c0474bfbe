#include "train/chart_axis.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/words.h"

namespace autarky {
namespace {

// The least of 1, 2, 5 times a power of ten that is not below `least`.
double round_step(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

std::vector<double> linear_ticks(double low, double high, double step) {
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
    ticks.push_back(i * step + 0.0);  // no -0
  return ticks;
}

// The given multiples of the powers of ten that lie within [low, high].
std::vector<double> decade_ticks(double low, double high, std::span<const double> factors) {
  std::vector<double> ticks;
  const int first = int(std::floor(std::log10(low))), last = int(std::ceil(std::log10(high)));
  for (int exponent = first; exponent <= last; ++exponent)
    for (const double factor : factors)
      if (const double v = factor * std::pow(10, exponent); v >= low && v <= high)
        ticks.push_back(v);
  return ticks;
}

}  // namespace

std::string chart_label(double value, ChartUnit unit) {
  if (unit == ChartUnit::seconds) {
    if (value != 0 && value < 1) return fmt::format("{:.3g} ms", value * 1e3);
    return fmt::format("{:.3g} s", value);
  }
  if (unit == ChartUnit::plain || value < 1000) return fmt::format("{:.4g}", value);
  double scaled = value;
  std::string_view suffix;
  for (const std::string_view next : {" k", " M", " G", " T"}) {
    if (scaled < 999.9) break;
    scaled /= 1000, suffix = next;
  }
  return fmt::format("{:.4g}{}", scaled, suffix);
}

double ChartAxis::place(double value) const {
  if (logarithmic) return std::log(value / low) / std::log(high / low);
  return (value - low) / (high - low);
}

ChartAxis linear_axis(double low, double high, int ticks, bool whole) {
  ChartAxis axis{.low = low, .high = high, .logarithmic = false, .ticks = {}};
  if (!(high - low > 1e-9 * std::max(std::abs(low), std::abs(high)))) {
    const double room = whole ? 1 : std::max(std::abs(low) / 10, 1e-9);
    axis.low -= room, axis.high += room;
  } else if (!whole) {
    const double room = (high - low) * 0.05;
    axis.high += room;
    if (low != 0) axis.low -= room;
  }
  double step = round_step((axis.high - axis.low) / ticks);
  if (whole) step = std::max(1.0, step);
  axis.ticks = linear_ticks(axis.low, axis.high, step);
  return axis;
}

ChartAxis logarithmic_axis(double low, double high, int ticks) {
  constexpr double kTens[] = {1}, kHalves[] = {1, 3}, kFew[] = {1, 2, 5};
  constexpr double kMany[] = {1, 1.5, 2, 3, 4, 5, 6, 8};
  const double room = std::max(std::pow(high / low, 0.05), 1.01);
  ChartAxis axis{.low = low / room, .high = high * room, .logarithmic = true, .ticks = {}};
  for (const std::span<const double> factors :
       {std::span<const double>(kTens), std::span<const double>(kHalves),
        std::span<const double>(kFew), std::span<const double>(kMany)}) {
    axis.ticks = decade_ticks(axis.low, axis.high, factors);
    if (int(axis.ticks.size()) >= std::min(ticks, 4)) break;
  }
  if (axis.ticks.size() < 3)  // less than a factor of two
    axis.ticks = linear_ticks(axis.low, axis.high, round_step((axis.high - axis.low) / ticks));
  const std::size_t stride = axis.ticks.size() / (2 * std::size_t(ticks)) + 1;
  for (std::size_t i = 0; i * stride < axis.ticks.size(); ++i)
    axis.ticks[i] = axis.ticks[i * stride];
  axis.ticks.resize((axis.ticks.size() + stride - 1) / stride);
  return axis;
}

}  // namespace autarky
