#include "cli/plan_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/words.h"
#include "train/report_page.h"

namespace autarky::cli {
namespace {

constexpr double kWidth = 1080, kLeft = 260, kRight = 150;

std::string text(double x, double y, const std::string& words, const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escape_html(words));
}

std::string box(double x, double y, double width, double height, int colour,
                const std::string& tip) {
  return fmt::format(
      "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\" "
      "style=\"fill:var(--c{})\">"
      "<title>{}</title></rect>\n",
      x, y, std::max(width, 0.3), height, colour, escape_html(tip));
}

std::string line(double x1, double y1, double x2, double y2, const char* kind) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", kind, x1,
      y1, x2, y2);
}

std::string svg(double height, const std::string& inside) {
  return fmt::format("<svg viewBox=\"0 0 {} {:.0f}\">\n{}</svg>\n", kWidth, height, inside);
}

int colour_of(const std::string& operation) {
  return operation == "forward" ? 0 : operation == "backward" ? 1 : operation == "weights" ? 2 : 3;
}

}  // namespace

std::string draw_timeline(const OutlineTime& step) {
  constexpr std::size_t kStages = 16, kSlots = 600;  // of a stage
  const std::size_t stages = step.timelines.size(), rows = std::min(stages, kStages);
  constexpr double kStart = 70, kRow = 20;
  std::size_t slots = 0;
  for (const auto& t : step.timelines) slots = std::max(slots, t.size());
  // A step too long to read is cut after so many slots of its first stage.
  const auto& first = step.timelines.front();
  const double end =
      slots > kSlots ? first[std::min(kSlots, first.size()) - 1].start_s : step.step_s;
  const double scale = (kWidth - kStart - 10) / end;
  std::string out;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t s = rows == stages ? r : r * (stages - 1) / (rows - 1);
    const double y = double(r) * kRow + 4;
    out += text(0, y + 12, fmt::format("stage {}", s));
    for (const auto& e : step.timelines[s])
      if (e.start_s < end)
        out += box(kStart + e.start_s * scale, y,
                   (std::min(e.start_s + e.seconds, end) - e.start_s) * scale, kRow - 4,
                   colour_of(e.op),
                   fmt::format("{} {}: {} from {}", e.op, e.block, human_seconds(e.seconds),
                               human_seconds(e.start_s)));
  }
  const double y = double(rows) * kRow + 8;
  out += line(kStart, y, kWidth - 10, y, "axis");
  for (int i = 0; i <= 4; ++i)
    out += text(kStart + (kWidth - kStart - 10) * i / 4, y + 16, human_seconds(end * i / 4),
                i == 0   ? "start"
                : i == 4 ? "end"
                         : "middle");
  const std::string caption = fmt::format(
      "{}{}", rows < stages ? fmt::format("{} of {} stages. ", rows, stages) : "",
      slots > kSlots
          ? fmt::format("The first {} of {}. ", human_seconds(end), human_seconds(step.step_s))
          : "");
  return svg(y + 24, out) + (caption.empty() ? "" : "<small>" + caption + "</small>\n");
}

namespace {

// Named bars below each other, each from where the one before ends, and their sum.
class FloatingBars {
 public:
  explicit FloatingBars(double whole) : scale_((kWidth - kLeft - kRight) / whole) {}

  void add(const std::string& name, double value, int colour, const std::string& words) {
    row(name, sum_, value, colour, words);
    sum_ += value;
  }
  void add_sum(const std::string& name, const std::string& words) { row(name, 0, sum_, 0, words); }
  double x(double value) const { return kLeft + value * scale_; }
  double height() const { return y_; }
  const std::string& drawn() const { return out_; }

 private:
  void row(const std::string& name, double from, double value, int colour,
           const std::string& words) {
    constexpr double kRow = 24;
    out_ += text(kLeft - 10, y_ + 14, name, "end");
    out_ += box(x(from), y_, value * scale_, kRow - 6, colour, name);
    out_ += text(x(from + value) + 8, y_ + 14, words);
    y_ += kRow;
  }

  double scale_, y_ = 2, sum_ = 0;
  std::string out_;
};

}  // namespace

std::string draw_waterfall(const Prediction& p) {
  FloatingBars bars(p.step_s);
  const auto words = [&](double seconds) {
    return fmt::format("{} ({:.1f}%)", human_seconds(seconds), 100 * seconds / p.step_s);
  };
  for (std::size_t i = 0; i < kPartCount; ++i) {
    const double seconds = p.spent.by_part[i];
    if (seconds >= 5e-4 * p.step_s)
      bars.add(std::string(kPartNames[i]), seconds, i == 0 ? 2 : 1, words(seconds));
  }
  bars.add_sum("the step", words(p.step_s));
  return svg(bars.height(), bars.drawn());
}

std::string draw_run(const Goodput& g) {
  FloatingBars bars(1);
  const auto words = [](double share) { return fmt::format("{:.2f}%", 100 * share); };
  bars.add("training that counts", g.share, 2, words(g.share));
  bars.add("checkpoints", g.checkpoint_share, 1, words(g.checkpoint_share));
  bars.add("work done again", g.repeated_share, 1, words(g.repeated_share));
  bars.add("until the job is back", g.down_share, 1, words(g.down_share));
  bars.add_sum("the run", words(1));
  return svg(bars.height(), bars.drawn());
}

std::string draw_memory(const BytesByKind& memory, std::int64_t limit_bytes) {
  std::int64_t all = 0;
  for (const auto& [kind, bytes] : memory) all += bytes;
  FloatingBars bars(double(std::max(all, limit_bytes)));
  for (const auto& [kind, bytes] : memory)
    bars.add(std::string(kind), double(bytes), 3, human_bytes(double(bytes)));
  bars.add_sum("in all", human_bytes(double(all)));
  const double limit = bars.x(double(limit_bytes)), below = bars.height();
  return svg(below + 22,
             bars.drawn() + line(limit, 0, limit, below + 4, "axis") +
                 text(limit, below + 16, "at most " + human_bytes(double(limit_bytes)), "middle"));
}

namespace {

// Both axes logarithmic, to the next power of ten.
class Roofline {
 public:
  Roofline(const std::vector<NodeTime>& ops, double peak, double bandwidth)
      : peak_(peak), bandwidth_(bandwidth) {
    for (const auto& op : ops)
      if (op.cost.flops > 0 && op.seconds > 0 && op.cost.bytes > 0) {
        auto& sum = points_[op.block + " " + op.op];
        sum.seconds += op.seconds;
        sum.cost.flops += op.cost.flops;
        sum.cost.bytes += op.cost.bytes;
      }
    const double ridge = peak / bandwidth;
    double low = ridge, high = ridge, slow = peak;
    for (const auto& [name, op] : points_) {
      low = std::min(low, op.cost.flops / op.cost.bytes);
      high = std::max(high, op.cost.flops / op.cost.bytes);
      slow = std::min(slow, op.cost.flops / op.seconds);
    }
    x_low_ = std::floor(std::log10(low));
    x_high_ = std::ceil(std::log10(high) + 0.01);
    y_low_ = std::floor(std::log10(std::min(slow, std::pow(10, x_low_) * bandwidth)));
    y_high_ = std::ceil(std::log10(peak) + 0.1);
  }

  std::string draw() const {
    std::string out = axes();
    const double ridge = peak_ / bandwidth_;
    out += roof(std::pow(10, x_low_), std::pow(10, x_low_) * bandwidth_, ridge, peak_);
    out += roof(ridge, peak_, std::pow(10, x_high_), peak_);
    out += text(x(ridge), y(peak_) - 8, fmt::format("peak {:.3g} TFLOP/s", peak_ / 1e12));
    double below = 0;  // labels in a column beside the plot, so that none lies over another
    int number = 0;
    for (const auto& [name, op] : points_) {
      const double intensity = op.cost.flops / op.cost.bytes, rate = op.cost.flops / op.seconds;
      out += fmt::format(
          "<circle class=\"c1\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"><title>{}</title></circle>\n",
          x(intensity), y(rate), escape_html(name));
      out += text(x(intensity) + 7, y(rate) + 12, std::to_string(++number));
      out += text(kPlotRight + 30, kTop + 10 + below,
                  fmt::format("{}  {}: {:.3g} TFLOP/s", number, name, rate / 1e12));
      below += 17;
    }
    return svg(std::max(kBottom + 40, kTop + below + 20), out);
  }

 private:
  static constexpr double kPlotLeft = 70, kPlotRight = 660, kTop = 16, kBottom = 330;

  double x(double intensity) const {
    return kPlotLeft +
           (std::log10(intensity) - x_low_) / (x_high_ - x_low_) * (kPlotRight - kPlotLeft);
  }
  double y(double rate) const {
    return kBottom - (std::log10(rate) - y_low_) / (y_high_ - y_low_) * (kBottom - kTop);
  }
  std::string roof(double x1, double y1, double x2, double y2) const {
    return fmt::format("<path class=\"c0\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>\n", x(x1), y(y1),
                       x(x2), y(y2));
  }
  std::string axes() const {
    std::string out;
    for (double e = x_low_; e <= x_high_; ++e) {
      const double at = x(std::pow(10, e));
      out += line(at, kTop, at, kBottom, "grid");
      out += text(at, kBottom + 16, fmt::format("{:g}", std::pow(10, e)), "middle");
    }
    for (double e = y_low_; e <= y_high_; ++e) {
      const double at = y(std::pow(10, e));
      out += line(kPlotLeft, at, kPlotRight, at, "grid");
      out += text(kPlotLeft - 8, at + 4, fmt::format("{:g}", std::pow(10, e - 12)), "end");
    }
    out += text((kPlotLeft + kPlotRight) / 2, kBottom + 34,
                "FLOPs per byte of operands and results", "middle");
    return out + text(0, 10, "TFLOP/s");
  }

  double peak_, bandwidth_, x_low_, x_high_, y_low_, y_high_;
  std::map<std::string, NodeTime> points_;
};

}  // namespace

std::string draw_roofline(const std::vector<NodeTime>& ops, double peak_flops_per_s,
                          double bytes_per_s) {
  return Roofline(ops, peak_flops_per_s, bytes_per_s).draw();
}

}  // namespace autarky::cli
