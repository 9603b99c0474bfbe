#include "plan/validation_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/median.h"
#include "sim/sheet_file.h"

namespace autarky {
namespace {

struct Reason {
  std::string id, why;
  static constexpr std::array<std::string_view, 2> kRequired = {"id", "why"};
  static constexpr auto keys() {
    return std::tuple{key("id", &Reason::id), key("why", &Reason::why)};
  }
};
// fits/reasons.yaml
struct Reasons {
  std::string id;
  std::vector<Reason> reasons;
  static constexpr auto keys() { return std::tuple{key("reasons", &Reasons::reasons)}; }
};

constexpr double kFar = 0.15;  // an error that wants a reason

// ---- the plot: published against predicted seconds, both logarithmic
constexpr double kSide = 560, kEdge = 60;
constexpr const char* kColours[] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728",
                                    "#9467bd", "#8c564b", "#e377c2", "#17becf"};

// As text of SVG and of Markdown's tables.
std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text)
    safe += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '|' ? "&#124;" : std::string(1, c);
  return safe;
}

class Plot {
 public:
  explicit Plot(const Validation& v) : v_(v) {
    for (const auto& row : v.rows)
      for (double s : {row.run->step_s, row.prediction.step_s}) {
        low_ = std::min(low_, std::floor(std::log10(s)));
        high_ = std::max(high_, std::ceil(std::log10(s)));
      }
    high_ = std::max(high_, low_ + 1);
  }

  std::string draw() {
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
        "width=\"{0}\" height=\"{1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        kSide + 2 * kEdge + 140, kSide + 2 * kEdge);
    grid();
    band(1, "#999");
    band(1.1, "#ddd");
    band(1 / 1.1, "#ddd");
    points();
    return svg_ + "</svg>\n";
  }

 private:
  double x(double seconds) const {
    return kEdge + kSide * (std::log10(seconds) - low_) / (high_ - low_);
  }
  double y(double seconds) const { return 2 * kEdge + kSide - x(seconds); }

  void grid() {
    for (double e = low_; e <= high_; ++e) {
      const double s = std::pow(10, e);
      svg_ += fmt::format("<path d=\"M{0} {1}V{2}M{1} {3}H{2}\" stroke=\"#eee\"/>\n", x(s), kEdge,
                          kEdge + kSide, y(s));
      svg_ += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{:g} s</text>\n", x(s),
                          kEdge + kSide + 18, s);
      svg_ += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:g} s</text>\n", kEdge - 6,
                          y(s) + 4, s);
    }
    svg_ += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">published step</text>\n",
                        kEdge + kSide / 2, kEdge + kSide + 40);
    svg_ += fmt::format(
        "<text transform=\"translate(16 {}) rotate(-90)\" "
        "text-anchor=\"middle\">predicted step</text>\n",
        kEdge + kSide / 2);
  }
  // Predicted = factor x published.
  void band(double factor, const char* colour) {
    const double a = std::pow(10, low_), b = std::pow(10, high_);
    svg_ += fmt::format("<path d=\"M{} {}L{} {}\" stroke=\"{}\"/>\n", x(a), y(a * factor), x(b),
                        y(b * factor), colour);
  }
  void points() {
    std::size_t profile = 0;
    for (const auto& [name, errors] : v_.by_profile) {
      const char* colour = kColours[profile % std::size(kColours)];
      for (const auto& row : v_.rows)
        if (row.run->profile == name)
          svg_ += fmt::format(
              "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\" "
              "fill-opacity=\"0.7\"><title>{} {:+.1f}%</title></circle>\n",
              x(row.run->step_s), y(row.prediction.step_s), colour, escaped(row.run->id),
              100 * row.error());
      const double at = kEdge + 20 * double(profile++);
      svg_ += fmt::format(
          "<circle cx=\"{0}\" cy=\"{1}\" r=\"4\" fill=\"{2}\"/><text x=\"{3}\" "
          "y=\"{4}\">{5}</text>\n",
          kSide + kEdge + 20, at, colour, kSide + kEdge + 30, at + 4, name);
    }
  }

  const Validation& v_;
  double low_ = 0, high_ = 0;
  std::string svg_;
};

// ---- the page
std::string summary(const std::string& name, const Errors& e) {
  return fmt::format("| {} | {} | {:.1f}% | {:.1f}% | {:.1f}% |\n", name, e.all.size(),
                     100 * Errors::mean(e.all), e.all.empty() ? 0 : 100 * median(e.all),
                     100 * Errors::mean(e.left_out));
}

std::string waterfall(const ValidatedRun& row) {
  std::string text = "| part of the step | seconds | share |\n|---|---|---|\n";
  for (std::size_t i = 0; i < kPartCount; ++i)
    text +=
        fmt::format("| {} | {:.2f} | {:.1f}% |\n", kPartNames[i], row.prediction.spent.by_part[i],
                    100 * row.prediction.spent.by_part[i] / row.prediction.step_s);
  return text;
}

std::string rows_table(const Validation& v) {
  std::string text =
      "| run | published | predicted | error | without its source | memory | fits |\n"
      "|---|---|---|---|---|---|---|\n";
  for (std::size_t i = 0; i < v.rows.size(); ++i) {
    const auto& row = v.rows[i];
    text += fmt::format("| {} | {:.3f} s | {:.3f} s | {:+.1f}% | {:+.1f}% | {:.1f} GB | {} |\n",
                        escaped(row.run->id), row.run->step_s, row.prediction.step_s,
                        100 * row.error(), 100 * v.left_out[i].error(),
                        double(row.memory_bytes) / 1e9, row.fits ? "yes" : "no");
  }
  return text;
}

std::string reasons(const Validation& v) {
  const auto known =
      read_sheet<Reasons>(find_sheet("reasons", embedded_fits(), "fit"), "list of reasons").reasons;
  std::string text;
  for (const auto& row : v.rows) {
    if (std::abs(row.error()) <= kFar) continue;
    const auto it = std::find_if(known.begin(), known.end(),
                                 [&](const Reason& r) { return r.id == row.run->id; });
    text += fmt::format("- **{}** ({:+.1f}%): {}\n", row.run->id, 100 * row.error(),
                        it == known.end() ? "no reason is known" : it->why);
  }
  return text.empty() ? "None.\n" : text;
}

}  // namespace

void write_validation_page(const Validation& v, const fs::path& page) {
  fs::path plot = page;
  plot.replace_extension(".svg");
  write_file_atomic(plot, Plot(v).draw());
  std::string text = fmt::format(
      "# Predictions beside published runs\n\nGenerated by `autarky plan --validate "
      "fits/published-runs.csv --page docs/validation.md`; do not edit. {} runs of {} in the table "
      "can be "
      "compared.\n\n![published against predicted]({})\n\nThe grey lines are equality and 10% to "
      "either side.\n\n",
      v.rows.size(), v.runs.size(), plot.filename().string());
  text +=
      "| absolute error of the step | rows | mean | median | mean, without the run's source |\n"
      "|---|---|---|---|---|\n";
  for (const auto& [name, errors] : v.by_profile) text += summary(name, errors);
  text += summary("all", v.errors) + summary("those that nothing was assumed of", v.read);
  text += fmt::format(
      "\nNine of ten of the runs that the numbers were fitted to are within a factor of {:.2f} of "
      "their "
      "prediction: this is the interval that a prediction carries. Without its source {:.0f}% of "
      "these "
      "runs lie in it, so it is somewhat too narrow for runs of a new kind. \"Without the run's "
      "source\" is one "
      "step of Gauss and Newton from the joint fit with the rows of that source (its text in the "
      "table) "
      "left out.\n",
      std::exp(v.fitted.error), 100.0 * v.within / double(v.rows.size()));
  text += "\n## More than 15% off\n\n" + reasons(v) + "\n## All runs\n\n" + rows_table(v);
  for (const auto& row : v.rows)
    if (row.run->id == "telechat2_115B_512")
      text += "\n## TeleChat2-115B on 512 Ascend 910B\n\n" + waterfall(row);
  text += "\n## Not compared\n\n";
  for (const auto& run : v.runs)
    if (!run.refused.empty())
      text += fmt::format("- {}: {}\n", escaped(run.id), escaped(run.refused));
  write_file_atomic(page, text);
}

}  // namespace autarky
