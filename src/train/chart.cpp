#include "train/chart.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "train/report_page.h"

namespace autarky {
namespace {

constexpr double kLeft = 62, kRight = 26, kTop = 10, kBottom = 34;
constexpr double kHeight = 270, kWidth = 560, kWideWidth = 1140, kWideHeight = 340;
constexpr std::size_t kBuckets = 300, kWideBuckets = 500;
constexpr std::size_t kMostDots = 60;

struct Bounds {
  double x_low = std::numeric_limits<double>::infinity(), x_high = -x_low;
  double y_low = x_low, y_high = -x_low;

  bool empty() const { return x_low > x_high; }
  void add(const ChartPoint& p) {
    if (!std::isfinite(p.x) || !std::isfinite(p.y)) return;
    x_low = std::min(x_low, p.x), x_high = std::max(x_high, p.x);
    y_low = std::min(y_low, p.y), y_high = std::max(y_high, p.y);
  }
};

class Canvas {
 public:
  Canvas(const LineChart& chart, const Bounds& bounds)
      : width_(chart.wide ? kWideWidth : kWidth), height_(chart.wide ? kWideHeight : kHeight) {
    x_ = linear_axis(bounds.x_low, bounds.x_high, chart.wide ? 10 : 6, true);
    const bool logarithmic =
        chart.logarithmic && bounds.y_low > 0 && bounds.y_high >= 1.5 * bounds.y_low;
    const double low = chart.from_zero ? std::min(0.0, bounds.y_low) : bounds.y_low;
    y_ = logarithmic ? logarithmic_axis(low, bounds.y_high, 6) : linear_axis(low, bounds.y_high, 5);
  }

  double x(double v) const { return kLeft + x_.place(v) * (width_ - kLeft - kRight); }
  double y(double v) const { return height_ - kBottom - y_.place(v) * (height_ - kTop - kBottom); }

  std::string open(const LineChart& chart) const {
    return fmt::format(
        R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}" data-box="{},{},{},{}" )"
        R"(data-x="{},{}" data-y="{},{}" data-log="{}" data-unit="{}">)",
        width_, height_, escape_html(chart.title), kLeft, kTop, width_ - kRight, height_ - kBottom,
        x_.low, x_.high, y_.low, y_.high, y_.logarithmic ? 1 : 0, int(chart.unit));
  }

  std::string grid(ChartUnit unit) const {
    std::string svg;
    for (const double v : y_.ticks)
      svg += fmt::format(R"(<line class="grid" x1="{0}" x2="{1}" y1="{2:.2f}" y2="{2:.2f}"/>)"
                         R"(<text x="{3}" y="{4:.2f}" text-anchor="end">{5}</text>)",
                         kLeft, width_ - kRight, y(v), kLeft - 8, y(v) + 4, chart_label(v, unit));
    for (const double v : x_.ticks)
      svg += fmt::format(R"(<line class="tick" x1="{0:.2f}" x2="{0:.2f}" y1="{1}" y2="{2}"/>)"
                         R"(<text x="{0:.2f}" y="{3}" text-anchor="middle">{4}</text>)",
                         x(v), height_ - kBottom, height_ - kBottom + 5, height_ - kBottom + 19,
                         chart_label(v, ChartUnit::count));
    return svg + fmt::format(R"(<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>)", kLeft,
                             width_ - kRight, height_ - kBottom, height_ - kBottom);
  }

  bool shows(const ChartPoint& p) const {
    return std::isfinite(p.x) && std::isfinite(p.y) && (!y_.logarithmic || p.y > 0);
  }

  std::string line(const ChartSeries& series, std::size_t buckets) const {
    constexpr const char* kStyles[] = {"line", "faint", "dashed", "dots"};
    std::string path, dots;
    bool pen_down = false;
    const auto points = downsample(series.points, buckets);
    const bool dotted =
        points.size() == 1 || (series.style == LineStyle::dots && points.size() <= kMostDots);
    for (const auto& p : points) {
      if (!shows(p)) {
        pen_down = false;
        continue;
      }
      path += fmt::format("{}{:.2f} {:.2f}", pen_down ? 'L' : 'M', x(p.x), y(p.y));
      if (dotted)
        dots += fmt::format(R"(<circle class="c{}" cx="{:.2f}" cy="{:.2f}" r="3.5"/>)",
                            series.color, x(p.x), y(p.y));
      pen_down = true;
    }
    return fmt::format(R"(<path class="{} c{}" data-name="{}" d="{}"/>)",
                       kStyles[int(series.style)], series.color, escape_html(series.name), path) +
           dots;
  }

 private:
  double width_, height_;
  ChartAxis x_, y_;
};

std::string legend(const LineChart& chart) {
  if (chart.series.size() < 2) return "";
  std::string html;
  for (const auto& series : chart.series)
    if (!series.points.empty())
      html += fmt::format(R"(<span class="key c{}{}">{}</span>)", series.color,
                          series.style == LineStyle::faint    ? " faint"
                          : series.style == LineStyle::dashed ? " dashed"
                                                              : "",
                          escape_html(series.name));
  return R"(<span class="legend">)" + html + "</span>";
}

}  // namespace

std::string draw(const LineChart& chart) {
  Bounds bounds;
  for (const auto& series : chart.series)
    for (const auto& p : series.points) bounds.add(p);
  std::string html = fmt::format(
      R"(<figure class="card{}"><figcaption><b>{}</b><small>{}</small>{}</figcaption>)",
      chart.wide ? " wide" : "", escape_html(chart.title), escape_html(chart.note), legend(chart));
  if (bounds.empty()) return html + R"(<p class="none">no data yet</p></figure>)";
  const Canvas canvas(chart, bounds);
  html += R"(<div class="plot">)" + canvas.open(chart) + canvas.grid(chart.unit);
  for (const auto& series : chart.series)
    html += canvas.line(series, chart.wide ? kWideBuckets : kBuckets);
  return html + R"(<line class="cursor"/></svg></div></figure>)" + "\n";
}

std::string draw_bars(const std::vector<ChartBar>& bars) {
  double most = 0;
  for (const auto& bar : bars)
    if (std::isfinite(bar.value)) most = std::max(most, bar.value);
  std::string html;
  for (const auto& bar : bars) {
    const double share = most > 0 && bar.value > 0 ? std::min(1.0, bar.value / most) : 0;
    html += fmt::format(R"(<div class="bar"><span>{}</span><span class="track"><i class="c{}" )"
                        R"(style="width:{:.2f}%"></i></span><span class="value">{}</span></div>)",
                        escape_html(bar.name), bar.color, 100 * share, escape_html(bar.text));
  }
  return R"(<div class="bars">)" + html + "</div>\n";
}

}  // namespace autarky
