#include "train/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/median.h"
#include "base/words.h"
#include "train/chart.h"
#include "train/metrics.h"
#include "train/report_page.h"

namespace autarky {
namespace {

constexpr std::size_t kSmoothFrom = 30;       // points
constexpr std::size_t kMostEvaluations = 12;  // rows of the table

template <class T>
std::vector<double> column(const Metrics& metrics, T TrainingLine::*member) {
  std::vector<double> values;
  for (const auto& line : metrics.training) values.push_back(double(line.*member));
  return values;
}

template <class T>
std::vector<ChartPoint> points(const Metrics& metrics, T TrainingLine::*member) {
  std::vector<ChartPoint> result;
  for (const auto& line : metrics.training)
    result.push_back({double(line.step), double(line.*member)});
  return result;
}

// The mean of the last fortieth of the good steps: one step is too noisy a figure.
double recent_loss(const Metrics& metrics) {
  std::vector<double> losses;
  for (const auto& line : metrics.training)
    if (!line.skipped) losses.push_back(line.loss);
  const std::size_t count = std::min(losses.size(), losses.size() / 40 + 1);
  double sum = 0;
  for (std::size_t i = losses.size() - count; i < losses.size(); ++i) sum += losses[i];
  return sum / double(count);  // NaN of no lines
}

// What a run reached, in a few numbers; NaN where there is none.
struct Summary {
  double loss, val_loss, tokens_per_s, mfu, step_s, predicted_step_s, memory_bytes;
  double tokens = 0, seconds = 0;
  std::int64_t step = 0, skipped = 0;
};

Summary summarize(const Metrics& metrics) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const auto& lines = metrics.training;
  const auto memory = column(metrics, &TrainingLine::memory_bytes);
  Summary s{
      .loss = recent_loss(metrics),
      .val_loss = metrics.evaluations.empty() ? kNone : metrics.evaluations.back().val_loss,
      .tokens_per_s = median(column(metrics, &TrainingLine::tokens_per_s)),
      .mfu = median(column(metrics, &TrainingLine::mfu)),
      .step_s = median(column(metrics, &TrainingLine::step_s)),
      .predicted_step_s = median(column(metrics, &TrainingLine::predicted_step_s)),
      .memory_bytes = memory.empty() ? kNone : *std::max_element(memory.begin(), memory.end())};
  for (const auto& line : lines) {
    if (std::isfinite(line.step_s)) s.seconds += line.step_s;
    if (line.skipped) s.skipped = *line.skipped;
  }
  if (!lines.empty()) s.tokens = double(lines.back().tokens), s.step = lines.back().step;
  return s;
}

std::string tile(std::string_view name, std::string_view value, const std::string& note) {
  return fmt::format("<div class=\"tile\"><span>{}</span><b>{}</b><span>{}</span></div>\n", name,
                     value, note.empty() ? "&nbsp;" : escape_html(note));
}

std::string figure(double v, const char* pattern) {
  return std::isfinite(v) ? fmt::format(fmt::runtime(pattern), v) : "&ndash;";
}

std::string tiles(const Summary& s) {
  const auto perplexity = [](double loss) {
    return std::isfinite(loss) ? fmt::format("perplexity {:#.4g}", std::exp(loss)) : "";
  };
  std::string html = tile("Training loss", figure(s.loss, "{:.3f}"), perplexity(s.loss));
  html += tile("Validation loss", figure(s.val_loss, "{:.3f}"), perplexity(s.val_loss));
  html += tile("Tokens per second",
               std::isfinite(s.tokens_per_s) ? human_count(s.tokens_per_s) : "&ndash;",
               "median of all steps");
  html += tile("MFU", figure(100 * s.mfu, "{:.1f}%"), "of the measured peak");
  html += tile("Peak memory",
               std::isfinite(s.memory_bytes) ? human_bytes(s.memory_bytes) : "&ndash;", "measured");
  html += tile("Time in steps", human_seconds(s.seconds), human_count(s.tokens) + " tokens");
  if (s.skipped > 0)
    html += tile("Steps skipped", std::to_string(s.skipped), "loss or gradient out of bounds");
  return "<div class=\"tiles\">\n" + html + "</div>\n";
}

std::string header(const Summary& s, const ReportInfo& info) {
  std::string sub = escape_html(info.model);
  if (info.parameters > 0)
    sub += (sub.empty() ? "" : " &middot; ") + human_count(double(info.parameters)) + " parameters";
  sub += fmt::format("{}{} of {} steps", sub.empty() ? "" : " &middot; ", s.step,
                     std::max(info.steps, s.step));
  for (const auto& [name, value] : info.machine)
    if (name == "processor") sub += " &middot; " + escape_html(value);
  return fmt::format(
      "<header><div class=\"brand\">Autarky training report</div><h1>{}</h1>"
      "<div class=\"sub\">{}</div></header>\n",
      escape_html(info.title), sub);
}

// The figures of every step: faint behind their average once there are many.
std::vector<ChartSeries> noisy(std::string name, std::vector<ChartPoint> raw, int color) {
  if (raw.size() < kSmoothFrom)
    return {{.name = std::move(name), .color = color, .style = LineStyle::dots, .points = raw}};
  ChartSeries average{.name = name + ", averaged", .color = color, .points = smooth(raw)};
  ChartSeries each{
      .name = std::move(name), .color = color, .style = LineStyle::faint, .points = std::move(raw)};
  return {std::move(each), std::move(average)};
}

std::string charts(const Metrics& metrics) {
  LineChart loss{.title = "Loss", .note = "nats per token", .logarithmic = true, .wide = true};
  loss.series = noisy("training", points(metrics, &TrainingLine::loss), 0);
  ChartSeries validation{.name = "validation", .color = 1, .style = LineStyle::dots};
  for (const auto& line : metrics.evaluations)
    validation.points.push_back({double(line.step), line.val_loss});
  loss.series.push_back(validation);

  const auto rate = points(metrics, &TrainingLine::lr);
  LineChart lr{.title = "Learning rate", .from_zero = true};
  lr.series = {{.name = "learning rate", .color = 2, .points = rate}};
  LineChart norm{.title = "Gradient norm", .note = "before clipping", .logarithmic = true};
  norm.series = noisy("norm", points(metrics, &TrainingLine::grad_norm), 3);
  LineChart speed{.title = "Throughput", .note = "tokens per second", .unit = ChartUnit::count};
  speed.from_zero = true;
  speed.series = noisy("tokens/s", points(metrics, &TrainingLine::tokens_per_s), 2);
  LineChart time{.title = "Step time", .unit = ChartUnit::seconds, .from_zero = true};
  time.series = noisy("measured", points(metrics, &TrainingLine::step_s), 0);
  time.series.push_back({.name = "predicted",
                         .color = 1,
                         .style = LineStyle::dashed,
                         .points = points(metrics, &TrainingLine::predicted_step_s)});
  return "<div class=\"grid2\">\n" + draw(loss) + draw(lr) + draw(norm) + draw(speed) + draw(time) +
         "</div>\n";
}

std::string card(std::string_view title, std::string_view note, const std::string& content) {
  return fmt::format(
      "<div class=\"card\"><div class=\"cap\"><b>{}</b><small>{}</small></div>{}</div>\n", title,
      note, content);
}

double planned_bytes(const ReportInfo& info) {
  double sum = 0;
  for (const auto& kind : info.memory) sum += double(kind.bytes);
  return sum;
}

std::string memory_bars(const ReportInfo& info) {
  std::vector<ChartBar> bars;
  for (const auto& kind : info.memory)
    bars.push_back({.name = kind.name,
                    .text = human_bytes(double(kind.bytes)),
                    .value = double(kind.bytes),
                    .color = 0});
  std::stable_sort(bars.begin(), bars.end(),
                   [](const auto& a, const auto& b) { return a.value > b.value; });
  return card("Memory by kind", "the plan: " + human_bytes(planned_bytes(info)), draw_bars(bars));
}

std::string compared(std::string_view name, double predicted, double measured,
                     std::string (*print)(double)) {
  const bool both = predicted > 0 && std::isfinite(measured) && measured > 0;
  const auto cell = [&](double v) { return std::isfinite(v) && v > 0 ? print(v) : "&ndash;"; };
  return fmt::format(
      "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
      name, cell(predicted), cell(measured),
      both ? fmt::format("{:+.1f}%", 100 * (predicted / measured - 1)) : "&ndash;");
}

std::string prediction_table(const Summary& s, const ReportInfo& info) {
  return card("Predicted beside measured", "before the first step, and after the last",
              "<table><tr><th></th><th class=\"n\">predicted</th><th class=\"n\">measured</th>"
              "<th class=\"n\">error</th></tr>" +
                  compared("Step time", s.predicted_step_s, s.step_s, human_seconds) +
                  compared("Memory", planned_bytes(info), s.memory_bytes, human_bytes) +
                  "</table>");
}

std::string waterfall_card(const ReportInfo& info) {
  if (info.measured_step.empty()) return "";
  std::vector<ChartFall> rows;
  for (std::size_t i = 0; i < info.measured_step.size(); ++i)
    rows.push_back({.name = info.measured_step[i].name,
                    .predicted = info.predicted_step.at(i).seconds,
                    .measured = info.measured_step[i].seconds});
  return "<h2>Where a step's time goes</h2>\n" +
         card("From the model's FLOPs to the step",
              "mean of this session's steps, beside the prediction",
              draw_waterfall(rows, "a step"));
}

std::string schedule_card(const ReportInfo& info) {
  if (info.schedule.empty()) return "";
  return "<h2>The pipeline's schedule</h2>\n" +
         card("What each stage does in a step",
              "planned: F forward, B backward, W weights; a backward as long as two forwards",
              "<div style=\"overflow-x:auto\">" + info.schedule + "</div>");
}

std::string evaluation_table(const Metrics& metrics) {
  const auto& all = metrics.evaluations;
  const std::size_t first = all.size() > kMostEvaluations ? all.size() - kMostEvaluations : 0;
  std::string rows;
  for (std::size_t i = first; i < all.size(); ++i)
    rows += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                        all[i].step, figure(all[i].val_loss, "{:.4f}"),
                        figure(std::exp(all[i].val_loss), "{:#.4g}"));
  if (rows.empty()) return "";
  return card("Evaluations", first > 0 ? fmt::format("the last {}", kMostEvaluations) : "",
              "<table><tr><th>step</th><th class=\"n\">validation loss</th>"
              "<th class=\"n\">perplexity</th></tr>" +
                  rows + "</table>");
}

// The ranks with the most time of their own, medians over the steps of the last layout.
std::string rank_table(const Metrics& metrics) {
  constexpr std::size_t kMost = 16;
  std::vector<std::vector<double>> own, waited;  // by rank
  for (const auto& line : metrics.training) {
    if (line.rank_own_s.empty() || line.rank_own_s.size() != line.rank_waited_s.size()) continue;
    if (line.rank_own_s.size() != own.size()) {
      own.assign(line.rank_own_s.size(), {});
      waited = own;
    }
    for (std::size_t r = 0; r < own.size(); ++r) {
      own[r].push_back(line.rank_own_s[r]);
      waited[r].push_back(line.rank_waited_s[r]);
    }
  }
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t r = 0; r < own.size(); ++r) order.emplace_back(-median(own[r]), r);
  std::sort(order.begin(), order.end());
  if (order.size() > kMost) order.resize(kMost);
  std::string rows;
  for (const auto& [negative, r] : order)
    rows += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>", r,
                        human_seconds(-negative), human_seconds(median(waited[r])));
  if (rows.empty()) return "";
  return card("Ranks", "a step, medians; the slowest first",
              "<table><tr><th>rank</th><th class=\"n\">own work</th>"
              "<th class=\"n\">waiting for others</th></tr>" +
                  rows + "</table>");
}

std::string machine_table(const ReportInfo& info) {
  std::string rows;
  for (const auto& [name, value] : info.machine)
    rows += fmt::format("<tr><td class=\"sub\">{}</td><td>{}</td></tr>", escape_html(name),
                        escape_html(value));
  return rows.empty() ? "" : card("Machine", "", "<table>" + rows + "</table>");
}

std::string samples(const ReportInfo& info) {
  if (info.samples.empty()) return "";
  std::string html;
  for (const auto& sample : info.samples)
    html += fmt::format("<div class=\"card sample\"><p><mark>{}</mark>{}</p></div>\n",
                        escape_html(sample.prompt), escape_html(sample.text));
  return "<h2>What it writes</h2>\n<div class=\"grid2\">\n" + html + "</div>\n";
}

std::string recipe(const ReportInfo& info) {
  if (info.recipe.empty()) return "";
  return "<h2>Recipe</h2>\n<details class=\"card\"><summary>Every key of the run, "
         "resolved</summary><pre>" +
         escape_html(info.recipe) + "</pre></details>\n";
}

}  // namespace

void write_report(const fs::path& run_dir, const ReportInfo& info) {
  const fs::path path = run_dir / "metrics.jsonl";
  const Metrics metrics = fs::exists(path) ? read_metrics(path) : Metrics{};
  const Summary summary = summarize(metrics);
  const std::string plan = "<h2>Memory, time and machine</h2>\n<div class=\"grid2\">\n" +
                           memory_bars(info) + prediction_table(summary, info) +
                           evaluation_table(metrics) + rank_table(metrics) + machine_table(info) +
                           "</div>\n" + waterfall_card(info) + schedule_card(info);
  const std::string body = header(summary, info) + tiles(summary) + "<h2>Training</h2>\n" +
                           charts(metrics) + samples(info) + plan + recipe(info) +
                           "<footer>Made by autarky. This page needs no network.</footer>\n";
  write_file_atomic(run_dir / "report.html", html_page(info.title, body));
}

}  // namespace autarky
