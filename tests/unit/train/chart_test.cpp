#include "train/chart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace autarky {
namespace {

std::vector<ChartPoint> ramp(int n) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < n; ++i) points.push_back({double(i), double(i % 100)});
  return points;
}

TEST(ChartAxis, LinearTicksAreRoundNumbers) {
  EXPECT_EQ(linear_axis(1, 240, 6, true).ticks, (std::vector<double>{50, 100, 150, 200}));
  EXPECT_EQ(linear_axis(0, 8.2, 5).ticks, (std::vector<double>{0, 2, 4, 6, 8}));
  EXPECT_FALSE(std::signbit(linear_axis(0, 8.2, 5).ticks[0]));
  EXPECT_EQ(linear_axis(1, 3, 6, true).ticks, (std::vector<double>{1, 2, 3}));
}

TEST(ChartAxis, LogarithmicTicksFollowTheRange) {
  EXPECT_EQ(logarithmic_axis(2.9, 9.6, 6).ticks, (std::vector<double>{3, 4, 5, 6, 8, 10}));
  const auto decades = logarithmic_axis(1e-3, 1e5, 6).ticks;
  EXPECT_EQ(decades.size(), 9u);
  EXPECT_DOUBLE_EQ(decades.front(), 1e-3);
  EXPECT_LE(logarithmic_axis(1e-300, 1e300, 6).ticks.size(), 12u);
}

TEST(ChartAxis, ARangeOfOneValueIsWidened) {
  for (const double v : {0.0, 1.0, -3.0, 1e-12, 1e12}) {
    const ChartAxis axis = linear_axis(v, v, 5);
    EXPECT_LT(axis.low, v);
    EXPECT_GT(axis.high, v);
    EXPECT_GE(axis.ticks.size(), 2u);
    EXPECT_LE(axis.ticks.size(), 12u);
  }
}

TEST(ChartAxis, PlacesAreSharesOfTheRange) {
  EXPECT_DOUBLE_EQ((ChartAxis{.low = 2, .high = 4, .logarithmic = false, .ticks = {}}.place(3)),
                   0.5);
  EXPECT_DOUBLE_EQ((ChartAxis{.low = 1, .high = 100, .logarithmic = true, .ticks = {}}.place(10)),
                   0.5);
}

TEST(ChartLabel, UnitsAreShort) {
  EXPECT_EQ(chart_label(0.0015, ChartUnit::plain), "0.0015");
  EXPECT_EQ(chart_label(8000, ChartUnit::count), "8 k");
  EXPECT_EQ(chart_label(1.5e6, ChartUnit::count), "1.5 M");
  EXPECT_EQ(chart_label(0.25, ChartUnit::seconds), "250 ms");
  EXPECT_EQ(chart_label(2, ChartUnit::seconds), "2 s");
}

TEST(Downsample, KeepsTheExtremesAndTheEnds) {
  std::vector<ChartPoint> points = ramp(100000);
  points[5000].y = 1e6;
  points[70001].y = -1e6;
  const auto kept = downsample(points, 300);
  EXPECT_LE(kept.size(), 600u);
  EXPECT_EQ(kept.front().x, 0);
  EXPECT_EQ(kept.back().x, 99999);
  double low = 0, high = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) {
      EXPECT_LT(kept[i - 1].x, kept[i].x);
    }
    low = std::min(low, kept[i].y), high = std::max(high, kept[i].y);
  }
  EXPECT_EQ(low, -1e6);
  EXPECT_EQ(high, 1e6);
}

TEST(Downsample, FewPointsStayAsTheyAre) { EXPECT_EQ(downsample(ramp(600), 300).size(), 600u); }

TEST(Smooth, IsTheCentredMeanWithoutLag) {
  std::vector<ChartPoint> line;
  for (int i = 0; i < 160; ++i) line.push_back({double(i), 2.0 * i});
  const auto smoothed = smooth(line);
  for (std::size_t i = 2; i < 158; ++i) EXPECT_NEAR(smoothed[i].y, line[i].y, 1e-9);
  EXPECT_NEAR(smoothed[0].y, 2, 1e-9);      // of 0, 2, 4
  EXPECT_NEAR(smoothed[159].y, 316, 1e-9);  // of 314, 316, 318
  line[50].y += 5;                          // spread over five points
  EXPECT_NEAR(smooth(line)[52].y, 105, 1e-9);
  EXPECT_NEAR(smooth(line)[53].y, 106, 1e-9);
  line[50].y = std::nan("");
  EXPECT_EQ(smooth(line).size(), 159u);
}

TEST(LineChart, PointsThatAreNotFiniteAreGapsAndNeverInTheText) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const std::string svg =
      draw({.title = "a<b",
            .series = {{.name = "s",
                        .points = {{1, 2}, {2, kNan}, {3, 4}, {4, INFINITY}, {5, 6}, {6, 7}}}}});
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  EXPECT_NE(svg.find("a&lt;b"), std::string::npos);
  const auto path = svg.substr(svg.find("d=\"M"));
  EXPECT_EQ(std::count(path.begin(), path.begin() + std::ptrdiff_t(path.find("\"/>")), 'M'), 3);
}

TEST(LineChart, OnePointIsADotAndNoPointIsSaid) {
  const std::string one = draw({.title = "t", .series = {{.name = "s", .points = {{1, 2}}}}});
  EXPECT_NE(one.find("<circle"), std::string::npos);
  EXPECT_NE(draw({.title = "t", .series = {{.name = "s"}}}).find("no data yet"), std::string::npos);
}

TEST(Bars, TheLongestFillsTheWidth) {
  const std::string html =
      draw_bars({{.name = "a", .text = "4", .value = 4}, {.name = "b", .text = "1", .value = 1}});
  EXPECT_NE(html.find("width:100.00%"), std::string::npos);
  EXPECT_NE(html.find("width:25.00%"), std::string::npos);
}

}  // namespace
}  // namespace autarky
