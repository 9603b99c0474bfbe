#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plan/fit.h"

namespace autarky {
namespace {

// A run whose chip, stack or layout is not known is refused with that reason.
void compile(Validation& v, const std::function<void(int, int)>& progress) {
  for (auto& run : v.runs) {
    try {
      if (run.refused.empty()) v.compiled.emplace_back(run);
    } catch (const InputError& e) {
      run.refused = e.what();
    }
    progress(int(&run - v.runs.data()) + 1, int(v.runs.size()));
  }
}

void add(Errors& errors, double error, double without_source) {
  errors.all.push_back(std::abs(error));
  errors.left_out.push_back(std::abs(without_source));
}

}  // namespace

double Errors::mean(const std::vector<double>& errors) {
  double sum = 0;
  for (double e : errors) sum += e;
  return errors.empty() ? 0 : sum / double(errors.size());
}

std::unique_ptr<Validation> validate_runs(const fs::path& table, bool refit,
                                          const std::function<void(int done, int all)>& progress) {
  auto v = std::make_unique<Validation>();
  v->runs = read_published_runs(table);
  compile(*v, progress);
  if (v->compiled.empty())
    throw InputError("no row of this table can be compared")
        .at(table.string())
        .hint("Rows with comparable: n, experts, or cp above 1 cannot");
  v->fitted = calibration();
  if (refit) v->fitted = fit(v->compiled, v->fitted);
  v->left_out = leave_sources_out(v->compiled, v->fitted);
  for (std::size_t i = 0; i < v->compiled.size(); ++i) {
    v->rows.push_back(v->compiled[i].validate(v->fitted));
    const double error = v->rows.back().error(), without = v->left_out[i].error();
    const PublishedRun& run = v->compiled[i].run();
    add(v->errors, error, without);
    add(v->by_profile[run.profile], error, without);
    if (run.assumed.empty()) add(v->read, error, without);
    v->within += std::abs(std::log1p(without)) <= v->fitted.error;
  }
  return v;
}

}  // namespace autarky
