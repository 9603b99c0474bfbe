// autarky plan --budget, --deadline: how many of which chips.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "cli/plan_text.h"

namespace autarky::cli {
namespace {

Json fleet_json(const Fleet& f) {
  if (!f.refused.empty()) return {{"chip", f.chip}, {"refused", f.refused}};
  Json j = cost_json(f.cost);
  j.update({{"chip", f.chip},
            {"chips", f.chips},
            {"layout", f.words},
            {"step_s", f.layout.prediction.step_s},
            {"mfu", f.layout.prediction.mfu}});
  return j;
}

}  // namespace

void find_fleets(const Command& command, const PlanOptions& o) {
  FleetRequest r{.plan = o.request,
                 .chips = o.kinds(),
                 .network = o.network,
                 .profile = o.profile,
                 .tokens = o.tokens,
                 .chip_days_per_failure = o.chip_days_per_failure,
                 .storage_bytes_per_s = o.storage_gb_per_s * 1e9};
  (o.budget > 0 ? r.budget_usd : r.deadline_days) = std::max(o.budget, o.deadline);
  std::vector<Fleet> fleets;
  {
    WorkProgress line("Chips");
    fleets = autarky::find_fleets(
        r, [&](std::int64_t done, std::int64_t all) { line.update(done, all); });
  }
  if (command.json()) {
    Json rows = Json::array();
    for (const auto& f : fleets) rows.push_back(fleet_json(f));
    print_json({{"fleets", rows}});
  } else {
    print(fmt::format("{} tokens {}:\n\n", human_count(o.tokens),
                      o.budget > 0 ? fmt::format("for at most ${:.3g}", o.budget)
                                   : fmt::format("within {:.3g} days", o.deadline)));
    for (const auto& f : fleets)
      if (f.refused.empty())
        print(fmt::format("{:>6} x {:<22} {}\n        {}\n", f.chips, f.chip, cost_text(f.cost),
                          f.words));
      else print(fmt::format("     - x {:<22} {}\n", f.chip, f.refused));
  }
  if (fleets.empty() || !fleets.front().refused.empty()) throw ExitCode{2};
}

}  // namespace autarky::cli
