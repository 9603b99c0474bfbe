#include "train/bad_steps.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/median.h"
#include "train/engine.h"
#include "train/recipe.h"

namespace autarky {
namespace {

constexpr std::size_t kMostSteps = 100'000;

[[noreturn]] void refuse(const char* key, std::string_view where, const std::string& found) {
  throw InputError(fmt::format("no usable '{}' in 'history'", key)).at(where).found(found);
}

const Json& member(const Json& json, const char* key, std::string_view where) {
  if (!json.is_object() || !json.contains(key)) refuse(key, where, "none");
  return json.at(key);
}

std::int64_t count(const Json& json, const char* key, std::string_view where) {
  const Json& value = member(json, key, where);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > (std::uint64_t(1) << 62))
    refuse(key, where, value.dump());
  return value.get<std::int64_t>();
}

std::vector<double> numbers(const Json& json, const char* key, std::string_view where) {
  const Json& list = member(json, key, where);
  if (!list.is_array() || list.size() > kMostSteps) refuse(key, where, "no list of numbers");
  std::vector<double> values;
  for (const Json& value : list) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) refuse(key, where, value.dump());
    values.push_back(value.get<double>());
  }
  return values;
}

}  // namespace

StepLimits step_limits(const StepHistory& history, const TrainSection& section) {
  if (history.norms.empty() || std::int64_t(history.norms.size()) < section.spike_window) return {};
  return {section.spike_factor * median(history.norms),
          section.spike_factor * std::max(1.0, median(history.losses))};
}

void add_step(StepHistory& history, const TrainSection& section, const StepResult& result) {
  if (result.skipped) {
    ++history.bad;
    ++history.skipped;
    return;
  }
  history.bad = 0;
  ++history.updates;
  const auto add = [&](std::vector<double>& values, double value) {
    values.push_back(value);
    const auto window = std::size_t(section.spike_window);
    if (values.size() > window)
      values.erase(values.begin(), values.begin() + std::ptrdiff_t(values.size() - window));
  };
  add(history.norms, result.grad_norm);
  add(history.losses, result.loss);
}

std::string describe_bad_step(const StepResult& result, const StepLimits& limits,
                              const TrainSection& section) {
  std::string why = "not finite";
  if (std::isfinite(result.loss) && std::isfinite(result.grad_norm)) {
    const bool norm = result.grad_norm > double(float(limits.norm));
    why = fmt::format("the {} is above {:.4g}, {:g} times the median of the last {} good steps",
                      norm ? "norm" : "loss", norm ? limits.norm : limits.loss,
                      section.spike_factor, section.spike_window);
  }
  return fmt::format("loss {:.4g}, gradient norm {:.4g} ({})", result.loss, result.grad_norm, why);
}

bool may_return_to(const StepHistory& history, std::int64_t first_bad, std::int64_t step) {
  return step > history.returned_at && step + 2 <= first_bad;
}

Json to_json(const StepHistory& history) {
  return {{"norms", history.norms},     {"losses", history.losses},
          {"updates", history.updates}, {"bad", history.bad},
          {"skipped", history.skipped}, {"returned_at", history.returned_at}};
}

StepHistory step_history(const Json& json, std::string_view where) {
  StepHistory history;
  history.norms = numbers(json, "norms", where);
  history.losses = numbers(json, "losses", where);
  if (history.losses.size() != history.norms.size())
    refuse("losses", where, "another number of them");
  history.updates = count(json, "updates", where);
  history.bad = count(json, "bad", where);
  history.skipped = count(json, "skipped", where);
  history.returned_at = count(json, "returned_at", where);
  return history;
}

}  // namespace autarky
