// A chart's axis: its range, its ticks and where a value lies on it.
#pragma once
#include <string>
#include <vector>

namespace autarky {

enum class ChartUnit { plain, count, seconds };  // 0.0015; 8.1 k; 1.2 s

std::string chart_label(double value, ChartUnit unit);

struct ChartAxis {
  double low = 0, high = 1;  // low < high; both above 0 if logarithmic
  bool logarithmic = false;
  std::vector<double> ticks;  // rising, within [low, high]

  double place(double value) const;  // 0 at low, 1 at high
};

// An axis that holds [low, high] with some room and about `ticks` round numbers. A range of one
// value is widened. `whole` allows whole numbers only as ticks and leaves no room.
ChartAxis linear_axis(double low, double high, int ticks, bool whole = false);
// The same on a logarithmic scale; low > 0.
ChartAxis logarithmic_axis(double low, double high, int ticks);

}  // namespace autarky
