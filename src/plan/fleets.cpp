#include "plan/fleets.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "models/parameters.h"

namespace autarky {
namespace {

// One kind of chip: fleets by their size, each searched once.
class Kind {
 public:
  Kind(const FleetRequest& r, const std::string& chip, const Calibration& fitted)
      : r_(r), plan_(r.plan), sheet_(chip_sheet(chip)) {
    plan_.groups = {chip_group(device(chip, r.network, r.profile, fitted), 0)};
    plan_.keep = 1;
  }

  Fleet find() {
    Fleet best{.chip = sheet_.id};
    if (r_.budget_usd && !sheet_.price_usd_per_hour && !sheet_.price_usd) {
      best.refused = "no price is known";
      return best;
    }
    // More chips are dearer, and quicker as long as there is work for them; twice as many at most
    // twice as quick.
    constexpr int kMost = 16;  // 2^16 chips
    double quickest = std::numeric_limits<double>::infinity();
    for (int k = least(); k <= kMost;) {
      const Fleet fleet = of(1 << k);
      take(fleet, best);
      const bool there_is = fleet.refused.empty();
      if (there_is ? fleet.cost.days >= quickest || is_within(fleet) != r_.budget_usd.has_value()
                   : is_more_than_work(fleet.chips))
        break;
      if (there_is) quickest = fleet.cost.days;
      k += there_is && r_.deadline_days
               ? std::max(1, int(std::log2(fleet.cost.days / *r_.deadline_days)))
               : 1;
    }
    if (best.refused.empty() && best.chips >= 4)
      take(of(r_.budget_usd ? best.chips / 2 * 3 : best.chips / 4 * 3), best);
    return best;
  }

 private:
  // The power of two whose chips have at least half of the memory of weights, gradients and
  // moments.
  int least() const {
    const double chips =
        8.0 * double(parameter_count(plan_.model)) / double(plan_.groups[0].memory_bytes);
    return std::max(0, int(std::floor(std::log2(chips))));
  }

  bool is_within(const Fleet& f) const {
    return r_.budget_usd ? f.cost.money->middle() <= *r_.budget_usd
                         : f.cost.days <= *r_.deadline_days;
  }

  // Fewer chips within the deadline, fewer days within the budget; else the last reason why not.
  void take(const Fleet& fleet, Fleet& best) const {
    const bool found = best.chips > 0 && best.refused.empty();
    if (!fleet.refused.empty() || !is_within(fleet)) {
      if (found) return;
      best.refused =
          !fleet.refused.empty()
              ? fmt::format("{} chips: {}", fleet.chips, fleet.refused)
              : fmt::format(
                    "{} chips: {:.3g} days{}", fleet.chips, fleet.cost.days,
                    fleet.cost.money ? fmt::format(", ${:.3g}", fleet.cost.money->middle()) : "");
      return;
    }
    const bool better = r_.budget_usd ? fleet.cost.days < best.cost.days : fleet.chips < best.chips;
    if (!found || better) best = fleet;
  }

  // Every sequence has a rank, and every layer and head.
  bool is_more_than_work(int chips) const {
    return double(chips) >
           double(plan_.global_batch) * double(plan_.model.layers) * double(plan_.model.heads);
  }

  Fleet of(int chips) {
    Fleet f{.chip = sheet_.id, .chips = chips};
    plan_.groups[0].chips = chips;
    SearchResult found;
    try {
      found = search_layouts(plan_, [](std::int64_t, std::int64_t) {});
    } catch (const InputError&) {
      f.refused = "no layout is possible";
      return f;
    }
    f.layout = found.best.front();
    if (!f.layout.fits) {
      f.refused = "no layout fits in memory";
      return f;
    }
    const auto failures =
        reliability(plan_.model, chips, r_.chip_days_per_failure, r_.storage_bytes_per_s);
    f.cost = run_cost(std::array{PricedChips{sheet_, chips}}, f.layout.prediction, r_.tokens,
                      failures.goodput.share);
    f.words = to_string(f.layout, plan_);
    return f;
  }

  const FleetRequest& r_;
  PlanRequest plan_;
  ChipSheet sheet_;
};

bool is_better(const Fleet& a, const Fleet& b, bool by_days) {
  if (a.refused.empty() != b.refused.empty()) return a.refused.empty();
  if (!a.refused.empty()) return false;
  if (by_days) return a.cost.days < b.cost.days;
  if (a.cost.money.has_value() != b.cost.money.has_value()) return a.cost.money.has_value();
  return a.cost.money ? a.cost.money->middle() < b.cost.money->middle() : a.chips < b.chips;
}

}  // namespace

std::vector<Fleet> find_fleets(const FleetRequest& request, const FleetProgress& progress) {
  const Calibration fitted = calibration();
  std::vector<Fleet> fleets;
  for (const auto& chip : request.chips) {
    fleets.push_back(Kind(request, chip, fitted).find());
    progress(std::int64_t(fleets.size()), std::int64_t(request.chips.size()));
  }
  std::stable_sort(fleets.begin(), fleets.end(), [&](const Fleet& a, const Fleet& b) {
    return is_better(a, b, request.budget_usd.has_value());
  });
  return fleets;
}

}  // namespace autarky
