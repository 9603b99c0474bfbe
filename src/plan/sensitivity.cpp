#include "plan/search.h"

namespace autarky {

std::vector<Sensitivity> sensitivities(const PlannedLayout& plan, const PlanRequest& request) {
  const auto kinds = stand_in(plan.options, Pass::schedule);
  const double before = predict(plan.options, kinds, devices_of(plan, request)).step_s;
  std::vector<Sensitivity> all;
  // Of all kinds of chip at once.
  const auto add = [&](const char* of, auto&& change) {
    PlanRequest better = request;
    for (auto& group : better.groups) change(group.device);
    const double after = predict(plan.options, kinds, devices_of(plan, better)).step_s;
    all.push_back({of, after / before - 1});
  };
  constexpr double kMore = 1.1;
  add("peak of products", [](Device& d) {
    for (auto& [type, peak] : d.chip.flops_per_s) peak *= kMore;
    d.chip.fp8_flops_per_s *= kMore;
  });
  add("memory bandwidth", [](Device& d) { d.chip.bytes_per_s *= kMore; });
  add("links inside nodes", [](Device& d) {
    for (std::size_t t = 0; t + 1 < d.chip.links.size(); ++t) d.chip.links[t].sustained *= kMore;
  });
  add("network", [](Device& d) { d.chip.links.back().sustained *= kMore; });
  return all;
}

}  // namespace autarky
