#include "passes/schedule_chart.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"

namespace autarky {
namespace {

struct Chart {
  std::vector<std::vector<TimedSlot>> stages;
  int end = 0, busy = 0;

  explicit Chart(const Schedule& schedule) {
    auto times = time_slots(schedule);
    AUTARKY_CHECK(times.has_value(), "the stages wait for each other in a circle");
    stages = std::move(*times);
    for (const auto& stage : stages)
      for (const auto& t : stage) {
        end = std::max(end, t.start + t.length);
        busy += t.length;
      }
  }
  double idle() const { return 1 - double(busy) / (double(end) * double(stages.size())); }
};

std::string label(const Schedule& s, const Slot& slot) {
  const auto text = fmt::format("{}{}", "FBW"[std::size_t(slot.kind)], slot.microbatch);
  return s.chunks > 1 ? fmt::format("{}.{}", text, slot.chunk) : text;
}

std::string title(const Schedule& s, const Chart& chart) {
  const auto several = [](int n, const std::string& what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : what.ends_with('h') ? "es" : "s");
  };
  return fmt::format("{}: {}{}, {}, {}, {:.1f}% idle", pipeline_schedule_name(s.kind),
                     several(int(s.stages.size()), "stage"),
                     s.chunks > 1 ? " of " + several(s.chunks, "chunk") : "",
                     several(s.microbatches, "micro-batch"), several(chart.end, "unit"),
                     100 * chart.idle());
}

constexpr int kUnit = 24, kRow = 24, kLeft = 64, kTop = 24;  // of the drawing, in pixels

std::string draw_slot(const Schedule& s, std::size_t stage, const TimedSlot& t) {
  constexpr const char* kColors[] = {"#4477aa", "#66a061", "#cc8833"};
  const int x = kLeft + t.start * kUnit, y = kTop + int(stage) * kRow;
  const double opacity = 1 - 0.5 * double(t.slot.chunk) / double(s.chunks);
  return fmt::format(
      "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" "
      "fill-opacity=\"{:.2f}\" stroke=\"white\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\" "
      "fill=\"white\">{}</text></g>\n",
      label(s, t.slot), x, y, t.length * kUnit, kRow, kColors[std::size_t(t.slot.kind)], opacity,
      x + t.length * kUnit / 2, y + kRow * 2 / 3, t.slot.microbatch);
}

}  // namespace

double idle_share(const Schedule& schedule) { return Chart(schedule).idle(); }

std::string print_schedule(const Schedule& s) {
  const Chart chart(s);
  std::size_t width = 1;
  for (const auto& stage : chart.stages)
    for (const auto& t : stage) width = std::max(width, label(s, t.slot).size());
  std::string text = title(s, chart) + "\n";
  for (std::size_t stage = 0; stage < chart.stages.size(); ++stage) {
    std::vector<std::string> cells(std::size_t(chart.end), ".");
    for (const auto& t : chart.stages[stage])
      for (int u = 0; u < t.length; ++u) cells[std::size_t(t.start + u)] = label(s, t.slot);
    std::string line = fmt::format("stage {:<2}", stage);
    for (const auto& cell : cells) line += fmt::format(" {:<{}}", cell, width);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string draw_schedule(const Schedule& s) {
  const Chart chart(s);
  const int width = kLeft + chart.end * kUnit, height = kTop + int(chart.stages.size()) * kRow;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<text x=\"0\" y=\"{}\">{}</text>\n",
      width, height, width, height, kTop * 2 / 3, title(s, chart));
  for (std::size_t stage = 0; stage < chart.stages.size(); ++stage) {
    svg += fmt::format("<text x=\"0\" y=\"{}\">stage {}</text>\n",
                       kTop + int(stage) * kRow + kRow * 2 / 3, stage);
    for (const auto& t : chart.stages[stage]) svg += draw_slot(s, stage, t);
  }
  return svg + "</svg>\n";
}

}  // namespace autarky
