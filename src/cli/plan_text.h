// Costs of a run in words and as JSON.
#pragma once
#include <string>

#include "base/json.h"
#include "plan/run_cost.h"

namespace autarky::cli {

// "12.3 days, 4.5 GWh, $1.2 to 2.3 million"
std::string cost_text(const RunCost& cost);
Json cost_json(const RunCost& cost);

}  // namespace autarky::cli
