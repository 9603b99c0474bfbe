// Charts as text: inline SVG for lines, styled by the page's style sheet (train/report_page.h).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/chart_axis.h"

namespace autarky {

struct ChartPoint {
  double x = 0, y = 0;
};

enum class LineStyle {
  line,
  faint,   // the noisy figures behind a smoothed line
  dashed,  // what was predicted
  dots,    // a line with a dot at every point
};

struct ChartSeries {
  std::string name;
  int color = 0;  // of the page's palette, 0 to 5
  LineStyle style = LineStyle::line;
  std::vector<ChartPoint> points = {};  // x rising; points that are not finite are gaps
};

struct LineChart {
  std::string title = {}, note = {};  // a note stands small beside the title
  ChartUnit unit = ChartUnit::plain;
  bool logarithmic = false;  // where all values are above 0 and differ by a factor of 1.5 or more
  bool from_zero = false;
  bool wide = false;  // over both columns of the page
  std::vector<ChartSeries> series = {};
};

// A <figure> with title, legend and SVG; "no data yet" without a finite point. The lines' places
// and the axes' ranges are in attributes, so that the page's script can read values back.
std::string draw(const LineChart& chart);

struct ChartBar {
  std::string name, text;  // the text stands at the bar's end
  double value = 0;
  int color = 0;
};
// Horizontal bars, the longest over the whole width.
std::string draw_bars(const std::vector<ChartBar>& bars);

// Both in seconds; NaN where not known.
struct ChartFall {
  std::string name;
  double predicted = 0, measured = 0;
};
// A waterfall: each row's bars begin where those of the row before end, and the last row, `total`,
// spans their sum.
std::string draw_waterfall(const std::vector<ChartFall>& rows, const std::string& total);

// At most 2 * buckets points: the least and the greatest of each run of points, in order, and the
// first and the last point. No more points than that: unchanged.
std::vector<ChartPoint> downsample(const std::vector<ChartPoint>& points, std::size_t buckets);

// Each point becomes the mean of a fortieth of the points, centred on it (fewer at the ends).
// Points that are not finite are left out.
std::vector<ChartPoint> smooth(std::vector<ChartPoint> points);

}  // namespace autarky
