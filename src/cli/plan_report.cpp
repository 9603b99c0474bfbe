#include "cli/plan_report.h"

#include <fmt/format.h>

#include <cmath>

#include "base/file.h"
#include "base/words.h"
#include "cli/plan_charts.h"
#include "train/report_page.h"
#include "train/trace.h"

namespace autarky::cli {
namespace {

std::string tile(const std::string& name, const std::string& value) {
  return fmt::format("<div class=\"tile\"><span>{}</span><b>{}</b></div>\n", name, value);
}

std::string card(const std::string& title, const std::string& inside) {
  return fmt::format(
      "<h2>{}</h2>\n<figure class=\"card wide\"><div class=\"plot\">{}</div></figure>\n", title,
      inside);
}

std::string table_of(const SearchResult& result, const PlanRequest& request) {
  std::string out =
      "<table><tr><th></th><th>layout</th><th class=\"n\">step</th><th class=\"n\">tokens/s</th>"
      "<th class=\"n\">MFU</th><th class=\"n\">HFU</th><th class=\"n\">memory</th></tr>\n";
  int place = 0;
  for (const auto& p : result.best)
    out += fmt::format(
        "<tr><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.0f}</td>"
        "<td class=\"n\">{:.1f}%</td><td class=\"n\">{:.1f}%</td><td class=\"n\">{}</td></tr>\n",
        ++place, escape_html(to_string(p, request)), human_seconds(p.prediction.step_s),
        p.prediction.tokens_per_s, 100 * p.prediction.mfu, 100 * p.prediction.hfu,
        human_bytes(double(p.memory_bytes)));
  return out + "</table>\n";
}

}  // namespace

void write_plan_report(const PlanOptions& o, const SearchResult& result,
                       const Reliability& failures, const std::string& cost) {
  const PlannedLayout& best = result.best.front();
  const Prediction& p = best.prediction;
  const FollowedStep step = follow(best.options, devices_of(best, o.request));
  const std::string chips = chips_text(o.request);
  std::string body = fmt::format(
      "<header><div class=\"brand\">Autarky plan</div><h1>{} on {}</h1>"
      "<div class=\"sub\">{} tokens a sequence, {} sequences a step, profile {}. {} layouts, {} "
      "simulated. {} tokens: {}</div></header>\n",
      escape_html(o.model), escape_html(chips), o.request.seq, o.request.global_batch,
      escape_html(o.profile), result.layouts, result.simulated, human_count(o.tokens),
      escape_html(cost));
  body += "<div class=\"tiles\">\n" + tile("step", human_seconds(p.step_s)) +
          tile("nine of ten within a factor of", fmt::format("{:.2f}", std::exp(o.log_error))) +
          tile("tokens/s", fmt::format("{:.0f}", p.tokens_per_s)) +
          tile("MFU", fmt::format("{:.1f}%", 100 * p.mfu)) +
          tile("HFU", fmt::format("{:.1f}%", 100 * p.hfu)) +
          tile("memory", human_bytes(double(best.memory_bytes))) + "</div>\n";
  body +=
      "<h2>Best layouts</h2>\n<div class=\"card wide\">" + table_of(result, o.request) + "</div>\n";
  body += card(
      "Time line of the first: forward (blue), backward (orange), gradients of weights apart "
      "(green), once per step (violet)",
      draw_timeline(step.time));
  body +=
      card("From FLOPs at the peak to the step, on the stage that is done last", draw_waterfall(p));
  body += card("From the run's time to what moves training forward", draw_run(failures.goodput));
  body += card("Memory of the stage that needs most",
               draw_memory(best.memory, best.memory_limit_bytes));
  for (const auto& [device, ops] : step.layers)
    body += card(fmt::format("Roofline of {}: operations of one layer and micro-batch",
                             escape_html(device->chip.name)),
                 draw_roofline(ops, device->chip.peak(o.request.dtype), device->chip.bytes_per_s));
  write_file_atomic(o.report, html_page(fmt::format("{} on {}", o.model, chips), body));
}

void write_plan_trace(const PlanOptions& o, const PlannedLayout& plan,
                      const Reliability& failures) {
  constexpr std::size_t kStages = 8;
  FollowedStep step = follow(plan.options, devices_of(plan, o.request));
  auto& stages = step.time.timelines;
  std::vector<NamedTimeline> shown;
  for (std::size_t s = 0; s < stages.size(); ++s)
    if (stages.size() <= kStages || s < kStages / 2 || s + kStages / 2 >= stages.size())
      shown.emplace_back(fmt::format("stage {} of {}", s, stages.size()), std::move(stages[s]));
  const auto& c = failures.checkpoint;
  const double end = step.time.step_s;
  shown.emplace_back(
      fmt::format("checkpoints: every {}", human_seconds(failures.interval_s)),
      Timeline{
          {"compute", "checkpoint", "copy to the host: the next step waits", end, c.stop_s},
          {"storage", "checkpoint", "write, beside the next steps", end + c.stop_s, c.write_s}});
  write_trace(o.trace, shown);
}

}  // namespace autarky::cli
