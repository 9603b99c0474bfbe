// What a whole run takes: days, energy, money.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "plan/predict.h"
#include "sim/chip_sheet.h"

namespace autarky {

// 20 tokens a parameter (Hoffmann et al. 2022, arXiv:2203.15556, table 3).
double compute_optimal_tokens(const ModelConfig& model);

struct Money {
  double low = 0, high = 0;  // US dollars
  bool bought = false;       // the chips are; else rented for the run's hours

  double middle() const { return (low + high) / 2; }
};

struct RunCost {
  double tokens = 0;
  double days = 0;                    // with what failures leave
  std::optional<double> step_joules;  // of all chips; none: a sheet has no power
  std::optional<double> kwh;          // of the run, repeated work too
  std::optional<Money> money;         // none: a sheet has no price, or some rent and some sell
};

// Of one kind.
struct PricedChips {
  ChipSheet sheet;
  std::int64_t chips = 0;
};

// goodput: the share of the time that moves training forward (goodput.h). Energy is the chips'
// alone: hosts, network and cooling are not in it.
RunCost run_cost(std::span<const PricedChips> chips, const Prediction& step, double tokens,
                 double goodput);

}  // namespace autarky
