#include "train/compare_runs.h"

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "train/metrics.h"
#include "train/plan_run.h"

namespace autarky {
namespace {

void compare_nodes(const YAML::Node& a, const YAML::Node& b, const std::string& path,
                   std::vector<KeyDifference>& found) {
  if (a.IsMap() && b.IsMap()) {
    for (const auto& entry : a) {
      const auto key = entry.first.as<std::string>();
      compare_nodes(entry.second, b[key], path.empty() ? key : path + "." + key, found);
    }
    return;
  }
  const auto text = [](const YAML::Node& n) {
    YAML::Emitter out;
    out << YAML::Flow << n;
    return std::string(out.c_str());
  };
  if (path != "logging.run_dir" && text(a) != text(b)) found.push_back({path, text(a), text(b)});
}

std::map<std::int64_t, TrainingLine> lines_of_run(const fs::path& run) {
  std::map<std::int64_t, TrainingLine> lines;
  if (!fs::exists(run / "metrics.jsonl")) return lines;
  for (const auto& line : read_metrics(run / "metrics.jsonl").training) lines[line.step] = line;
  return lines;
}

bool apart(double x, double y, double tolerance) {
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) != std::isnan(y);
  return std::abs(x - y) > tolerance * std::max(std::abs(x), std::abs(y));
}

void compare_metrics(const fs::path& a, const fs::path& b, double tolerance, RunDifference& d) {
  const auto lines_a = lines_of_run(a), lines_b = lines_of_run(b);
  for (const auto& [step, x] : lines_a) {
    const auto it = lines_b.find(step);
    if (it == lines_b.end()) continue;
    ++d.metric_steps;
    const TrainingLine& y = it->second;
    if (d.first_loss ||
        !(apart(x.loss, y.loss, tolerance) || apart(x.grad_norm, y.grad_norm, tolerance)))
      continue;
    d.first_loss = LossDifference{step, x.loss, y.loss, x.grad_norm, y.grad_norm};
  }
}

void compare_values(const RunValues& a, const RunValues& b, double tolerance, RunDifference& d) {
  const auto steps_a = a.steps(), steps_b = b.steps();
  for (const auto step : steps_a) {
    if (!std::binary_search(steps_b.begin(), steps_b.end(), step)) continue;
    StepValues x = values_of(a.ranks(step), step), y = values_of(b.ranks(step), step);
    StepDifference found = compare(x, y, tolerance);
    ++d.value_steps;
    d.values += found.compared;
    d.step = step;
    d.differences = std::move(found.differences);
    d.contradictions_a = std::move(x.contradictions);
    d.contradictions_b = std::move(y.contradictions);
    const bool parted =
        !d.differences.empty() || !d.contradictions_a.empty() || !d.contradictions_b.empty();
    if (parted) return;
  }
}

}  // namespace

std::vector<KeyDifference> differences(const Recipe& a, const Recipe& b) {
  std::vector<KeyDifference> found;
  compare_nodes(YAML::Load(to_yaml(a)), YAML::Load(to_yaml(b)), "", found);
  return found;
}

RunDifference compare_runs(const fs::path& a, const fs::path& b, double tolerance) {
  RunDifference d;
  d.recipe = differences(recipe_of_run(a), recipe_of_run(b));
  compare_metrics(a, b, tolerance, d);
  const RunValues values_a(a), values_b(b);
  d.traced_a = !values_a.empty();
  d.traced_b = !values_b.empty();
  if (d.traced_a && d.traced_b) compare_values(values_a, values_b, tolerance, d);
  if (d.values == 0 && d.metric_steps == 0)
    throw InputError("the runs have no step in common")
        .at(fmt::format("{} and {}", a.string(), b.string()))
        .wanted("metrics.jsonl with lines of the same steps, or values of the same steps")
        .hint("Train both with --logging.trace=true");
  return d;
}

}  // namespace autarky
