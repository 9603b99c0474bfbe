// autarky diff: where two runs part, and by how much.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "train/compare_runs.h"

namespace autarky::cli {
namespace {

constexpr std::size_t kShown = 10;  // values behind the first difference, and contradictions

// "3.1e-07 of its size", by estimate.
std::string by_how_much(const ValueDifference& d) {
  const double size = std::max(d.a.squares, d.b.squares);
  if (d.a.bad != d.b.bad) return fmt::format("{} and {} elements not finite", d.a.bad, d.b.bad);
  return size > 0 && d.distance == 0 ? "bits, not in size"
                                     : fmt::format("about {:.1e} of its size", d.distance);
}

double rms(const ValueSummary& s) {
  return s.present > s.bad ? std::sqrt(s.squares / double(s.present - s.bad)) : 0;
}

std::string list(const std::vector<int>& ranks) {
  return fmt::format("{}", fmt::join(ranks, ", "));
}

void show_first(const RunDifference& d) {
  const ValueDifference& first = d.differences.front();
  std::string where = first.name.block;
  if (first.name.layer >= 0) where += fmt::format(" {}", first.name.layer);
  std::string microbatch = "none: it comes once per step";
  if (first.name.microbatch >= 0) microbatch = std::to_string(first.name.microbatch);
  print("They part here first:\n");
  print(
      table({{"step", std::to_string(d.step)},
             {"micro-batch", microbatch},
             {"block", where},
             {"operation", fmt::format("{} ({})", first.name.operation, first.source)},
             {"ranks", fmt::format("{} of A, {} of B", list(first.ranks_a), list(first.ranks_b))},
             {"by", by_how_much(first)},
             {"hashes", fmt::format("{:016x} and {:016x}", first.a.hash, first.b.hash)},
             {"root mean square", fmt::format("{:.9g} and {:.9g}", rms(first.a), rms(first.b))},
             {"greatest", fmt::format("{:.9g} and {:.9g}", first.a.greatest, first.b.greatest)}}));
  if (d.differences.size() > 1)
    print(fmt::format("\nThen, of {} values of this step that differ:\n", d.differences.size()));
  for (std::size_t i = 1; i < std::min(d.differences.size(), kShown + 1); ++i)
    print(fmt::format("  {:<44} {}\n", by_how_much(d.differences[i]),
                      to_string(d.differences[i].name)));
}

void show_contradictions(const char* run, const RunDifference& d,
                         const std::vector<std::string>& list) {
  if (list.empty()) return;
  print(fmt::format("\nRun {} contradicts itself in step {}:\n", run, d.step));
  for (std::size_t i = 0; i < std::min(list.size(), kShown); ++i)
    print(fmt::format("  {}\n", list[i]));
  if (list.size() > kShown) print(fmt::format("  and {} more\n", list.size() - kShown));
}

void show_losses(const RunDifference& d) {
  if (d.metric_steps == 0) return;
  if (!d.first_loss)
    return print(
        fmt::format("Losses and gradient norms of {} steps are the same.\n", d.metric_steps));
  const LossDifference& l = *d.first_loss;
  print(
      fmt::format("Losses: step {} is the first of {} that differs: loss {:.9g} and {:.9g}, "
                  "gradient norm {:.9g} and {:.9g}.\n",
                  l.step, d.metric_steps, l.loss_a, l.loss_b, l.norm_a, l.norm_b));
}

void show(const RunDifference& d) {
  for (const auto& k : d.recipe)
    print(fmt::format("Recipes: {} is {} in A, {} in B.\n", k.key, k.a, k.b));
  show_losses(d);
  if (!d.traced_a || !d.traced_b) {
    const char* who = d.traced_a ? "B" : d.traced_b ? "A" : "neither";
    print(
        fmt::format("{} kept {}values: train both with --logging.trace=true to see which "
                    "operation parts them.\n",
                    who, d.traced_a || d.traced_b ? "no " : ""));
  } else {
    print(fmt::format("{} values of {} step{} compared.\n", d.values, d.value_steps,
                      d.value_steps == 1 ? "" : "s"));
  }
  if (!d.differences.empty()) show_first(d);
  show_contradictions("A", d, d.contradictions_a);
  show_contradictions("B", d, d.contradictions_b);
  if (d.same()) print("The runs are the same.\n");
}

Json summary_json(const ValueSummary& s) {
  return {{"hash", fmt::format("{:016x}", s.hash)}, {"rms", rms(s)}, {"not_finite", s.bad}};
}

Json difference_json(const ValueDifference& d) {
  return {{"name", to_string(d.name)},       {"block", d.name.block},
          {"layer", d.name.layer},           {"micro_batch", d.name.microbatch},
          {"operation", d.name.operation},   {"source", d.source},
          {"ranks", {d.ranks_a, d.ranks_b}}, {"relative_difference", d.distance},
          {"a", summary_json(d.a)},          {"b", summary_json(d.b)}};
}

Json to_json(const RunDifference& d) {
  Json recipe = Json::object(), differences = Json::array();
  for (const auto& k : d.recipe) recipe[k.key] = {k.a, k.b};
  for (std::size_t i = 0; i < std::min(d.differences.size(), kShown + 1); ++i)
    differences.push_back(difference_json(d.differences[i]));
  Json result = {{"same", d.same()}, {"recipe", recipe}};
  result["loss"] = nullptr;
  if (const auto& l = d.first_loss)
    result["loss"] = {
        {"step", l->step}, {"loss", {l->loss_a, l->loss_b}}, {"grad_norm", {l->norm_a, l->norm_b}}};
  result["values"] = d.values;
  result["steps"] = d.value_steps;
  result["step"] = d.step;
  result["differences"] = d.differences.size();
  result["first"] = differences;
  result["contradictions"] = {d.contradictions_a, d.contradictions_b};
  return result;
}

}  // namespace

void run_diff(Command& command) {
  std::string a, b;
  double tolerance = 0;
  command.add("run_a", a, "Folder of a run", Need::required);
  command.add("run_b", b, "Folder of another", Need::required);
  command.add("--tolerance", tolerance,
              "Values that differ by at most this share of their size count as the same (0: bits "
              "decide). Between runs of different tensor_parallel_size: 1e-4");
  if (!command.parse()) return;
  if (!(tolerance >= 0)) throw InputError("not a tolerance").at("--tolerance").wanted("0 or more");
  const RunDifference d = compare_runs(a, b, tolerance);
  if (command.json()) print_json(to_json(d));
  else show(d);
  if (!d.same()) throw ExitCode{1};
}

}  // namespace autarky::cli
