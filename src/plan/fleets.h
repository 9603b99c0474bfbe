// The question turned round: how many of which chips train a model within a budget or by a
// deadline.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "plan/goodput.h"
#include "plan/run_cost.h"
#include "plan/search.h"

namespace autarky {

struct FleetRequest {
  PlanRequest plan;  // without chips
  std::vector<std::string> chips;
  std::string network = {}, profile = {};
  double tokens = 0;
  double chip_days_per_failure = 0, storage_bytes_per_s = 0;
  // One of them: the most money for the quickest run, or the most days for the fewest chips.
  std::optional<double> budget_usd = {}, deadline_days = {};
};

struct Fleet {
  std::string chip;
  int chips = 0;  // 2^n, or 3 x 2^n where that is better and has a layout
  PlannedLayout layout = {};
  std::string words = {};  // for it
  RunCost cost = {};
  std::string refused = {};  // why there is none of these chips; empty: there is one
};

// One for each kind of chip. By money (the middle of the price's range) or by days, the best first,
// then those that there is none of.
using FleetProgress = std::function<void(std::int64_t done, std::int64_t all)>;
std::vector<Fleet> find_fleets(const FleetRequest& request, const FleetProgress& progress);

}  // namespace autarky
