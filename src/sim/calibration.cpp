#include "sim/calibration.h"

#include <algorithm>

#include "sim/sheet_file.h"
#include "sim/stack_sheet.h"

namespace autarky {
namespace {

template <class T>
T find(const std::vector<T>& list, const std::string& id) {
  const auto it = std::find_if(list.begin(), list.end(), [&](const T& t) { return t.id == id; });
  if (it != list.end()) return *it;
  T unknown;
  unknown.id = id;
  return unknown;
}

}  // namespace

FittedStack Calibration::stack(const std::string& of) const { return find(profiles, of); }
FittedChip Calibration::chip(const std::string& of) const { return find(chips, of); }

Calibration calibration() {
  return read_sheet<Calibration>(find_sheet("published-runs", embedded_fits(), "fit"), "fit");
}
std::string to_yaml(const Calibration& c) { return to_yaml(to_yaml_node(c)); }

void apply(const Calibration& fitted, const std::string& chip, const std::string& profile,
           Device& d) {
  const FittedStack stack = fitted.stack(profile);
  d.stack.host_s = stack.host_s.value;
  d.stack.interference = stack.interference.value;
  d.stack.memory_passes = stack.memory_passes.value;
  d.stack.jitter = fitted.jitter.value;
  const FittedChip factors = fitted.chip(chip);
  for (double* products : {&d.chip.products, &d.chip.fp8_products})
    *products *= factors.products.value * fitted.in_step.value;
  for (std::size_t t = 0; t < d.chip.links.size(); ++t) {
    const bool inner = t + 1 < d.chip.links.size();
    d.chip.links[t].sustained *= inner ? factors.links.value : factors.network.value;
  }
}

Device device(const std::string& chip, const std::string& network, const std::string& profile,
              const Calibration& fitted) {
  const ChipSheet sheet = chip_sheet(chip);
  Device d{network.empty() ? chip_model(sheet) : chip_model(sheet, network_sheet(network)),
           stack_sheet(profile).facts};
  apply(fitted, sheet.id, profile, d);
  return d;
}

}  // namespace autarky
