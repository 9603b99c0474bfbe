// Waterfalls: predicted and measured bars that float from loss to loss.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/words.h"
#include "train/chart.h"
#include "train/report_page.h"

namespace autarky {
namespace {

// Where a bar lies, in seconds; `to` may be less than `from`.
struct Span {
  double from = 0, to = 0;
};

std::string bar(const Span& s, double whole, int color) {
  if (!std::isfinite(s.to) || whole <= 0) return "<i style=\"visibility:hidden\"></i>";
  const double left = std::max(0.0, std::min(s.from, s.to)), right = std::max(s.from, s.to);
  return fmt::format(R"(<i class="c{}" style="margin-left:{:.2f}%;width:{:.2f}%"></i>)", color,
                     100 * left / whole, 100 * std::max(0.0, right - left) / whole);
}

std::string seconds_text(double s) {
  if (!std::isfinite(s)) return "&ndash;";
  return (s < -5e-4 ? "&minus;" : "") + human_seconds(std::abs(s));
}

std::string row(const std::string& name, const Span& predicted, const Span& measured,
                double whole) {
  return fmt::format(R"(<div class="fall"><span>{}</span><span class="tracks">{}{}</span>)"
                     R"(<span class="value c1">{}</span><span class="value c0">{}</span></div>)",
                     escape_html(name), bar(predicted, whole, 1), bar(measured, whole, 0),
                     seconds_text(predicted.to - predicted.from),
                     seconds_text(measured.to - measured.from));
}

}  // namespace

std::string draw_waterfall(const std::vector<ChartFall>& rows, const std::string& total) {
  double whole = 0, predicted = 0, measured = 0;
  for (const auto& r : rows) {
    predicted += r.predicted;
    measured += r.measured;
    for (const double end : {predicted, measured})
      if (std::isfinite(end)) whole = std::max(whole, end);
  }
  std::string html = R"(<div class="legend"><span class="key c1">predicted</span>)"
                     R"(<span class="key c0">measured</span></div>)";
  Span p, m;
  for (const auto& r : rows) {
    p = {p.to, p.to + r.predicted};
    m = {m.to, m.to + r.measured};
    html += row(r.name, p, m, whole);
  }
  return html + row(total, {0, p.to}, {0, m.to}, whole) + "\n";
}

}  // namespace autarky
