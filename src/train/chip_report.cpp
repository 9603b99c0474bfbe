#include "train/chip_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/words.h"
#include "train/report_page.h"

namespace autarky {
namespace {

std::string row(const std::vector<std::string>& cells, const char* cell = "td") {
  std::string text;
  for (const auto& c : cells) text += fmt::format("<{0}>{1}</{0}>", cell, escape_html(c));
  return "<tr>" + text + "</tr>\n";
}

std::string table(const std::vector<std::string>& head, const std::string& rows) {
  return "<table>\n" + row(head, "th") + rows + "</table>\n";
}

std::string percent(double share) { return fmt::format("{:.1f}%", 100 * share); }

std::string figures_table(const ChipSheet& measured, const ChipSheet* declared) {
  std::string rows;
  if (!declared) {
    for (const auto& f : figures(measured)) rows += row({f.name, figure_text(f), f.figure.source});
    return table({"figure", "measured", "how"}, rows);
  }
  for (const auto& c : compare_sheets(*declared, measured)) {
    const auto text = [&](const std::optional<Figure>& f) {
      return f ? figure_text({c.name, *f}) : "";
    };
    rows += row({c.name, text(c.declared), c.of_cores ? figure_text(c.name, *c.of_cores) : "",
                 text(c.measured), c.ratio() ? percent(*c.ratio()) : "",
                 c.declared ? std::string(word_of(c.declared->mark)) : ""});
  }
  return table({"figure", "declared", "of the measured cores", "measured", "measured / declared",
                "mark of the first"},
               rows);
}

std::string products_table(const ChipSheet& s) {
  std::string rows;
  for (const auto& p : s.measured_products->points) {
    const auto& peaks = s.peak_flops_per_s;
    const auto& peak = p.type == ProductType::bf16 ? peaks.bf16 : peaks.f32;
    rows += row({std::string(word_of(p.type)),
                 fmt::format("[{} {}] x [{} {}]", p.rows, p.inner, p.inner, p.columns),
                 fmt::format("{:.1f}", p.flops_per_s / 1e9),
                 peak ? percent(p.flops_per_s / peak->value) : ""});
  }
  return table({"type", "product", "GFLOP/s", "of the peak"}, rows);
}

std::string collectives_table(const ChipSheet& s) {
  std::string rows;
  for (const auto& p : s.measured_collectives->points)
    rows += row({p.collective, human_bytes(double(p.bytes)), fmt::format("{:.1f}", p.seconds * 1e6),
                 fmt::format("{:.3f}", p.bus_bytes_per_s / 1e9)});
  return table({"collective", "vector", "us", "GB/s over a link"}, rows);
}

}  // namespace

std::optional<double> ComparedFigure::ratio() const {
  if (!declared || !measured) return std::nullopt;
  return measured->value / of_cores.value_or(declared->value);
}

std::vector<ComparedFigure> compare_sheets(const ChipSheet& declared, const ChipSheet& measured) {
  std::vector<ComparedFigure> all;
  for (const auto& [name, figure] : figures(declared)) all.push_back({name, figure, {}, {}});
  for (const auto& [name, figure] : figures(measured)) {
    const std::string& wanted = name;
    const auto it =
        std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.name == wanted; });
    if (it == all.end()) all.push_back({name, {}, figure, {}});
    else it->measured = figure;
  }
  std::stable_partition(all.begin(), all.end(),
                        [](const auto& c) { return c.declared && c.measured; });
  if (!declared.matrix_cores || !measured.matrix_cores) return all;
  const double share = measured.matrix_cores->value / declared.matrix_cores->value;
  for (auto& c : all)
    if (c.declared && c.measured && c.name.starts_with("peak_flops_per_s"))
      c.of_cores = c.declared->value * share;
  return all;
}

std::string chip_bench_page(const ChipSheet& measured, const ChipSheet* declared) {
  std::string body = fmt::format("<h1>{}</h1>\n", escape_html(measured.title));
  if (declared) body += fmt::format("<p>Beside {}.</p>\n", escape_html(declared->title));
  body += "<h2>Figures</h2>\n" + figures_table(measured, declared);
  if (measured.measured_products) body += "<h2>Matrix products</h2>\n" + products_table(measured);
  if (measured.measured_collectives)
    body += "<h2>Collectives of two ranks</h2>\n" + collectives_table(measured);
  return html_page("autarky chip bench", body);
}

}  // namespace autarky
