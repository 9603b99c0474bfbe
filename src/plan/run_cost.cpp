#include "plan/run_cost.h"

#include "models/parameters.h"

namespace autarky {
namespace {

// Shares of the board's power while it computes, and while it waits for others. A judgement.
constexpr double kComputing = 0.9, kWaiting = 0.45;

double waiting_share(const Prediction& p) {
  double waiting = 0;
  for (Part part : {Part::tensor, Part::data, Part::messages, Part::bubble, Part::slower,
                    Part::input, Part::jitter})
    waiting += p.spent[part];
  return waiting / p.step_s;
}

std::optional<Money> money_of(const PricedChips& of, double hours) {
  const double chips = double(of.chips);
  if (const auto& rent = of.sheet.price_usd_per_hour)
    return Money{chips * hours * rent->low, chips * hours * rent->high, false};
  if (const auto& price = of.sheet.price_usd)
    return Money{chips * price->low, chips * price->high, true};
  return std::nullopt;
}

std::optional<Money> money_of(std::span<const PricedChips> chips, double hours) {
  std::optional<Money> sum;
  for (const auto& of : chips) {
    const auto money = money_of(of, hours);
    if (!money || (sum && sum->bought != money->bought)) return std::nullopt;
    sum = Money{money->low + (sum ? sum->low : 0), money->high + (sum ? sum->high : 0),
                money->bought};
  }
  return sum;
}

std::optional<double> power_w(std::span<const PricedChips> chips) {
  double sum = 0;
  for (const auto& of : chips) {
    if (!of.sheet.power_w) return std::nullopt;
    sum += double(of.chips) * of.sheet.power_w->value;
  }
  return sum;
}

}  // namespace

double compute_optimal_tokens(const ModelConfig& model) {
  return 20 * double(parameter_count(model));
}

RunCost run_cost(std::span<const PricedChips> chips, const Prediction& step, double tokens,
                 double goodput) {
  RunCost cost;
  cost.tokens = tokens;
  const double seconds = tokens / step.tokens_per_s / goodput;
  cost.days = seconds / 86400;
  if (const auto power = power_w(chips)) {
    const double waiting = waiting_share(step);
    const double watts = *power * (kWaiting * waiting + kComputing * (1 - waiting));
    cost.step_joules = watts * step.step_s;
    cost.kwh = watts * seconds / 3.6e6;
  }
  cost.money = money_of(chips, seconds / 3600);
  return cost;
}

}  // namespace autarky
