// autarky chip bench: measures this machine's chip and writes its data sheet.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "backend/cpu/cpu_backend.h"
#include "base/words.h"
#include "cli/chip_text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "train/chip_bench.h"
#include "train/chip_report.h"
#include "train/machine_sheet.h"

namespace autarky::cli {
namespace {

struct Options {
  std::string out, html, declared;
  bool quick = false;
};

bool parse(Command& command, Options& o) {
  command.add("--out", o.out, "Where the sheet goes; the user's cache folder if not given");
  command.add("--declared", o.declared,
              "The declared sheet to compare with: a chip of `autarky chip list`, or a .yaml file");
  command.add("--html", o.html, "Also write a page with all that was measured");
  command.add_flag("--quick", o.quick, "Few shapes and sizes: seconds, not a minute");
  return command.parse();
}

std::string side_by_side(const ChipSheet& declared, const ChipSheet& measured) {
  std::string text =
      fmt::format("  {:<36} {:>18} {:>18} {:>22} {:>9}\n", "", "declared " + declared.id,
                  "of the used cores", "measured", "ratio");
  for (const auto& c : compare_sheets(declared, measured)) {
    const auto show = [&](const std::optional<Figure>& f) {
      return f ? figure_text({c.name, *f}) : "-";
    };
    text += fmt::format("  {:<36} {:>18} {:>18} {:>22} {:>9}\n", c.name, show(c.declared),
                        c.of_cores ? figure_text(c.name, *c.of_cores) : "", show(c.measured),
                        c.ratio() ? fmt::format("{:.1f}%", 100 * *c.ratio()) : "");
  }
  return text;
}

// The fastest and the slowest product of a type.
std::string products_text(const ChipSheet& s, ProductType type) {
  std::vector<ProductPoint> points;
  for (const auto& p : s.measured_products->points)
    if (p.type == type) points.push_back(p);
  if (points.empty()) return "";
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(),
      [](const auto& a, const auto& b) { return a.flops_per_s < b.flops_per_s; });
  const auto show = [](const ProductPoint& p) {
    return fmt::format("{:.1f} GFLOP/s ([{} {}] x [{} {}])", p.flops_per_s / 1e9, p.rows, p.inner,
                       p.inner, p.columns);
  };
  return fmt::format("  {} products from {} to {}\n", word_of(type), show(*low), show(*high));
}

std::string collectives_text(const ChipSheet& s) {
  std::string text;
  for (const auto& p : s.measured_collectives->points)
    text += fmt::format("  {:<16} {:>9} {:>10.1f} us {:>9.3f} GB/s\n", p.collective,
                        human_bytes(double(p.bytes)), p.seconds * 1e6, p.bus_bytes_per_s / 1e9);
  return text;
}

Json compared_json(const ChipSheet& declared, const ChipSheet& measured) {
  Json rows = Json::array();
  for (const auto& c : compare_sheets(declared, measured))
    rows.push_back({{"figure", c.name},
                    {"declared", c.declared ? Json(c.declared->value) : Json()},
                    {"of_cores", c.of_cores ? Json(*c.of_cores) : Json()},
                    {"measured", c.measured ? Json(c.measured->value) : Json()},
                    {"ratio", c.ratio() ? Json(*c.ratio()) : Json()}});
  return rows;
}

ChipSheet measure(bool quick) {
  WorkProgress progress("measuring");
  return bench_chip(*make_cpu_backend(),
                    {quick, [&](int done, int total) { progress.update(done, total); }});
}

}  // namespace

void run_chip_bench(Command& command) {
  Options o;
  if (!parse(command, o)) return;
  std::optional<ChipSheet> declared;
  if (!o.declared.empty()) declared = chip_sheet(o.declared);  // before the work
  const fs::path out = o.out.empty() ? machine_file("", ".yaml") : fs::path(o.out);
  ChipSheet measured = measure(o.quick);
  measured.id = out.stem().string();
  if (out.has_parent_path()) fs::create_directories(out.parent_path());
  write_file_atomic(out, to_yaml(measured));
  if (!o.html.empty())
    write_file_atomic(o.html, chip_bench_page(measured, declared ? &*declared : nullptr));
  if (command.json()) {
    Json object = {{"out", out.string()}};
    object.update(sheet_json(measured));
    if (declared) object["compared"] = compared_json(*declared, measured);
    return print_json(object);
  }
  print(measured.title + "\n" +
        (declared ? side_by_side(*declared, measured) : figures_text(figures(measured))) +
        products_text(measured, ProductType::bf16) + products_text(measured, ProductType::f32) +
        collectives_text(measured) + fmt::format("The sheet: {}\n", out.string()));
}

}  // namespace autarky::cli
