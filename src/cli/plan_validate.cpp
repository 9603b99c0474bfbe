// autarky plan --validate: predictions beside published runs.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/median.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "plan/validate.h"
#include "plan/validation_page.h"

namespace autarky::cli {
namespace {

Json errors_json(const Errors& e) {
  return {{"rows", e.all.size()},
          {"mean_abs_error", Errors::mean(e.all)},
          {"median_abs_error", e.all.empty() ? 0 : median(e.all)},
          {"left_out_mean_abs_error", Errors::mean(e.left_out)}};
}

Json to_json(const Validation& v) {
  Json rows = Json::array(), refused = Json::array(), profiles = Json::object();
  for (std::size_t i = 0; i < v.rows.size(); ++i) {
    const auto& row = v.rows[i];
    rows.push_back({{"id", row.run->id},
                    {"profile", row.run->profile},
                    {"published_step_s", row.run->step_s},
                    {"predicted_step_s", row.prediction.step_s},
                    {"error", row.error()},
                    {"left_out_error", v.left_out[i].error()},
                    {"memory_bytes", row.memory_bytes},
                    {"fits", row.fits},
                    {"assumed", row.run->assumed}});
  }
  for (const auto& run : v.runs)
    if (!run.refused.empty()) refused.push_back({{"id", run.id}, {"why", run.refused}});
  for (const auto& [name, errors] : v.by_profile) profiles[name] = errors_json(errors);
  Json all = errors_json(v.errors);
  all["rows"] = rows;
  all["refused"] = refused;
  all["profiles"] = profiles;
  all["nothing_assumed"] = errors_json(v.read);
  all["interval"] = v.fitted.error;
  all["within_interval"] = double(v.within) / double(v.rows.size());
  return all;
}

void show(const std::string& name, const Errors& e) {
  print(fmt::format("{:<22} {:>4} {:>7.1f}% {:>7.1f}% {:>9.1f}%\n", name, e.all.size(),
                    100 * Errors::mean(e.all), e.all.empty() ? 0 : 100 * median(e.all),
                    100 * Errors::mean(e.left_out)));
}

void show(const Validation& v) {
  print(fmt::format("{:<34} {:>10} {:>10} {:>7} {:>9} {:>9}  {}\n", "run", "published", "predicted",
                    "error", "left out", "memory", "fits"));
  for (std::size_t i = 0; i < v.rows.size(); ++i) {
    const auto& row = v.rows[i];
    print(fmt::format("{:<34} {:>9.3f}s {:>9.3f}s {:>+6.1f}% {:>+8.1f}% {:>9}  {}\n", row.run->id,
                      row.run->step_s, row.prediction.step_s, 100 * row.error(),
                      100 * v.left_out[i].error(), human_bytes(double(row.memory_bytes)),
                      row.fits ? "yes" : "no"));
  }
  print("\nNot compared:\n");
  for (const auto& run : v.runs)
    if (!run.refused.empty()) print(fmt::format("  {:<34} {}\n", run.id, run.refused));
  print(fmt::format("\n{:<22} {:>4} {:>8} {:>8} {:>10}\n", "absolute error", "rows", "mean",
                    "median", "left out"));
  for (const auto& [name, errors] : v.by_profile) show(name, errors);
  show("all", v.errors);
  show("nothing assumed", v.read);
  print(fmt::format(
      "\nleft out: predicted by numbers fitted without the run's source. {:.0f}% of these "
      "lie within the interval of {:.0f}%.\n",
      100.0 * v.within / double(v.rows.size()), 100 * std::expm1(v.fitted.error)));
}

}  // namespace

void validate_published(const Command& command, const PlanOptions& o) {
  std::unique_ptr<Validation> v;
  {
    WorkProgress line("Runs");
    v = validate_runs(o.validate, !o.fit.empty(),
                      [&](int done, int all) { line.update(done, all); });
  }
  if (!o.fit.empty()) write_file_atomic(o.fit, to_yaml(v->fitted));
  if (!o.page.empty()) write_validation_page(*v, o.page);
  if (command.json()) print_json(to_json(*v));
  else show(*v);
}

}  // namespace autarky::cli
