#include "cli/plan_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/words.h"

namespace autarky::cli {
namespace {

std::string energy_text(const RunCost& c) {
  if (!c.kwh) return "energy unknown";
  const double unit = *c.kwh >= 1e6 ? 1e6 : *c.kwh >= 1e3 ? 1e3 : 1;
  return fmt::format("{:.3g} {}Wh", *c.kwh / unit, unit == 1e6 ? "G" : unit == 1e3 ? "M" : "k");
}

std::string money_text(const RunCost& c) {
  if (!c.money) return "price unknown";
  const auto& m = *c.money;
  const double unit = m.high >= 1e6 ? 1e6 : m.high >= 1e3 ? 1e3 : 1;
  const char* name = unit == 1e6 ? " million" : unit == 1e3 ? " thousand" : "";
  const std::string amount =
      m.low == m.high ? fmt::format("${:.3g}{}", m.low / unit, name)
                      : fmt::format("${:.3g} to {:.3g}{}", m.low / unit, m.high / unit, name);
  return amount + (m.bought ? " for the chips" : " of rent");
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

std::string cost_text(const RunCost& c) {
  const std::string time =
      c.days < 1 ? human_seconds(c.days * 86400) : fmt::format("{:.3g} days", c.days);
  return fmt::format("{}, {}, {}", time, energy_text(c), money_text(c));
}

Json cost_json(const RunCost& c) {
  Json money = nullptr;
  if (c.money)
    money = {{"low", c.money->low}, {"high", c.money->high}, {"bought", c.money->bought}};
  return {{"tokens", c.tokens},
          {"train_days", c.days},
          {"energy_j", or_null(c.step_joules)},
          {"train_energy_kwh", or_null(c.kwh)},
          {"train_cost_usd", money}};
}

}  // namespace autarky::cli
