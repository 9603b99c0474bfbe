// autarky plan: the best layouts of a model on a cluster; predictions beside published runs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "cli/plan_report.h"
#include "cli/plan_text.h"
#include "cli/verbs.h"
#include "models/parameters.h"
#include "train/planned_recipe.h"

namespace autarky::cli {
namespace {

Json memory_json(const BytesByKind& memory) {
  Json j = Json::object();
  for (const auto& [kind, bytes] : memory) j[std::string(kind)] = bytes;
  return j;
}

Json spent_json(const Seconds& spent) {
  Json j = Json::object();
  for (std::size_t i = 0; i < kPartCount; ++i) j[std::string(kPartNames[i])] = spent.by_part[i];
  return j;
}

Json stages_json(const PlannedLayout& p, const PlanRequest& r) {
  Json j = Json::array();
  for (const auto& [group, stages] : p.stage_groups)
    j.push_back({{"chip", r.groups[group].device.chip.name}, {"stages", stages}});
  return j;
}

Json plan_json(const PlannedLayout& p, const PlanOptions& o) {
  return {{"layout", to_string(p, o.request)},
          {"stages", stages_json(p, o.request)},
          {"step_s", p.prediction.step_s},
          {"step_low_s", p.prediction.step_s / std::exp(o.log_error)},
          {"step_high_s", p.prediction.step_s * std::exp(o.log_error)},
          {"tokens_per_s", p.prediction.tokens_per_s},
          {"mfu", p.prediction.mfu},
          {"hfu", p.prediction.hfu},
          {"memory_bytes", p.memory_bytes},
          {"fits", p.fits},
          {"memory", memory_json(p.memory)},
          {"waterfall", spent_json(p.prediction.spent)},
          {"recipe", to_yaml(planned_recipe(p.options, o.request.global_batch, o.model))}};
}

// The losses that take most of the step, "bubble 7%, ...".
std::string losses(const Prediction& p, std::size_t count) {
  std::vector<std::size_t> order;
  for (std::size_t i = 1; i < kPartCount; ++i) order.push_back(i);  // all but the FLOPs themselves
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return p.spent.by_part[a] > p.spent.by_part[b];
  });
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text += fmt::format("{}{} {:.0f}%", i == 0 ? "" : ", ", kPartNames[order[i]],
                        100 * p.spent.by_part[order[i]] / p.step_s);
  return text;
}

void show(const SearchResult& result, const PlanOptions& o) {
  print(
      fmt::format("{} layouts: {} need too much memory, {} cannot be among the best, {} were "
                  "simulated\n\n",
                  result.layouts, result.too_large, result.bounded, result.simulated));
  int place = 0;
  for (const auto& p : result.best) {
    print(fmt::format("{:>2}. {}\n", ++place, to_string(p, o.request)));
    print(fmt::format(
        "    {} a step ({} to {}), {:.0f} tokens/s, MFU {:.1f}%, HFU {:.1f}%, {} of {}\n    lost: "
        "{}\n",
        human_seconds(p.prediction.step_s),
        human_seconds(p.prediction.step_s / std::exp(o.log_error)),
        human_seconds(p.prediction.step_s * std::exp(o.log_error)), p.prediction.tokens_per_s,
        100 * p.prediction.mfu, 100 * p.prediction.hfu, human_bytes(double(p.memory_bytes)),
        human_bytes(double(p.memory_limit_bytes)), losses(p.prediction, 3)));
  }
}

Json to_json(const Reliability& r) {
  return {{"chip_days_per_failure", r.model.chip_days_per_failure},
          {"failures_per_day", r.goodput.failures_per_day},
          {"share", r.goodput.share},
          {"lost",
           {{"checkpoints", r.goodput.checkpoint_share},
            {"repeated", r.goodput.repeated_share},
            {"down", r.goodput.down_share}}},
          {"checkpoint_interval_s", r.interval_s},
          {"checkpoint_bytes", r.checkpoint.bytes},
          {"checkpoint_stop_s", r.checkpoint.stop_s},
          {"checkpoint_write_s", r.checkpoint.write_s},
          {"young_interval_s", young_interval_s(r.model)},
          {"daly_interval_s", daly_interval_s(r.model)}};
}

void show(const Reliability& r) {
  const auto& c = r.checkpoint;
  const auto& g = r.goodput;
  print(fmt::format(
      "\nFailures: one in {:.0f} chip-days are {:.2f} a day; {:.1f}% of the time goes into "
      "training, "
      "{:.1f}% into\ncheckpoints, {:.1f}% into work done again and {:.1f}% into waiting, with a "
      "checkpoint every {} (by Young {},\nby Daly {}). A checkpoint is {}: steps stop for {}, and "
      "it "
      "is written in {} beside them.\n",
      r.model.chip_days_per_failure, g.failures_per_day, 100 * g.share, 100 * g.checkpoint_share,
      100 * g.repeated_share, 100 * g.down_share, human_seconds(r.interval_s),
      human_seconds(young_interval_s(r.model)), human_seconds(daly_interval_s(r.model)),
      human_bytes(c.bytes), human_seconds(c.stop_s), human_seconds(c.write_s)));
}

void show(const std::vector<Sensitivity>& all) {
  std::string text = "\nThe first with a tenth more of:";
  for (const auto& s : all) text += fmt::format(" {} {:+.1f}%,", s.of, 100 * s.change);
  text.back() = '\n';
  print(text);
}

[[noreturn]] void refuse(const SearchResult& result, const PlanOptions& o) {
  InputError error("no layout fits in memory");
  error.at(fmt::format("{} on {}", o.model, chips_text(o.request)));
  const auto& p = result.best.front();
  error.found(
      fmt::format("{} with {}", human_bytes(double(p.memory_bytes)), to_string(p, o.request)));
  error.wanted(fmt::format("at most {} a chip", human_bytes(double(p.memory_limit_bytes))));
  const double state =
      18.0 * double(parameter_count(o.request.model));  // bf16 weights, f32 the rest
  error.hint(fmt::format("Weights, gradients and optimizer alone want {:.0f} of these chips",
                         std::ceil(state / double(p.memory_limit_bytes))));
  error.hint("Take more chips, chips with more memory, or a smaller --global-batch or --seq");
  throw error;
}

std::vector<PricedChips> priced(const PlanOptions& o) {
  std::vector<PricedChips> chips;
  const auto kinds = o.kinds();
  for (std::size_t k = 0; k < kinds.size(); ++k)
    chips.push_back(
        {kinds[k] == "local" ? ChipSheet{} : chip_sheet(kinds[k]), o.request.groups[k].chips});
  return chips;
}

void search(const Command& command, const PlanOptions& o) {
  WorkProgress line("Layouts");
  const auto result = search_layouts(
      o.request, [&](std::int64_t done, std::int64_t all) { line.update(done, all); });
  if (!result.best.front().fits) refuse(result, o);
  if (!o.recipe.empty())
    write_file_atomic(o.recipe, to_yaml(planned_recipe(result.best.front().options,
                                                       o.request.global_batch, o.model)));
  const auto changes = sensitivities(result.best.front(), o.request);
  const Reliability failures = reliability(o.request.model, o.request.chips(),
                                           o.chip_days_per_failure, o.storage_gb_per_s * 1e9);
  const RunCost cost =
      run_cost(priced(o), result.best.front().prediction, o.tokens, failures.goodput.share);
  if (!o.report.empty()) write_plan_report(o, result, failures, cost_text(cost));
  if (!o.trace.empty()) write_plan_trace(o, result.best.front(), failures);
  if (!command.json()) {
    show(result, o);
    show(changes);
    show(failures);
    print(fmt::format("{} tokens with the first: {}\n", human_count(cost.tokens), cost_text(cost)));
    if (o.measure) print(measured_text(result.best.front(), o));
    return;
  }
  Json sensitivity = Json::object();
  for (const auto& c : changes) sensitivity[c.of] = c.change;
  Json plans = Json::array();
  for (const auto& p : result.best) plans.push_back(plan_json(p, o));
  Json object = {{"plans", plans},
                 {"layouts", result.layouts},
                 {"too_large", result.too_large},
                 {"bounded", result.bounded},
                 {"simulated", result.simulated},
                 {"sensitivity", sensitivity},
                 {"goodput", to_json(failures)},
                 {"run", cost_json(cost)}};
  if (o.measure) object["measured"] = measured_json(result.best.front(), o);
  print_json(object);
}

}  // namespace

void run_plan(Command& command) {
  PlanOptions o;
  if (!parse(command, o)) return;
  if (o.validate_local) return validate_local(command, thread_count());
  if (!o.validate.empty()) return validate_published(command, o);
  if (o.budget > 0 || o.deadline > 0) return find_fleets(command, o);
  search(command, o);
}

}  // namespace autarky::cli
