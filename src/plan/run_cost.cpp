#include "plan/run_cost.h"

#include "models/parameters.h"

namespace autarky {
namespace {

// Shares of the board's power while it computes, and while it waits for others. A judgement.
constexpr double kComputing = 0.9, kWaiting = 0.45;

double waiting_share(const Prediction& p) {
  double waiting = 0;
  for (Part part : {Part::tensor, Part::data, Part::messages, Part::bubble, Part::jitter})
    waiting += p.spent[part];
  return waiting / p.step_s;
}

std::optional<Money> money_of(const ChipSheet& chip, double chips, double hours) {
  if (const auto& rent = chip.price_usd_per_hour)
    return Money{chips * hours * rent->low, chips * hours * rent->high, false};
  if (const auto& price = chip.price_usd)
    return Money{chips * price->low, chips * price->high, true};
  return std::nullopt;
}

}  // namespace

double compute_optimal_tokens(const ModelConfig& model) {
  return 20 * double(parameter_count(model));
}

RunCost run_cost(const ChipSheet& chip, const Prediction& step, std::int64_t chips, double tokens,
                 double goodput) {
  RunCost cost;
  cost.tokens = tokens;
  const double seconds = tokens / step.tokens_per_s / goodput;
  cost.days = seconds / 86400;
  if (chip.power_w) {
    const double waiting = waiting_share(step);
    const double watts =
        double(chips) * chip.power_w->value * (kWaiting * waiting + kComputing * (1 - waiting));
    cost.step_joules = watts * step.step_s;
    cost.kwh = watts * seconds / 3.6e6;
  }
  cost.money = money_of(chip, double(chips), seconds / 3600);
  return cost;
}

}  // namespace autarky
