// Numbers that were fitted to measured steps, fits/*.yaml: three for each software stack, and how
// far chips and networks are from what their sheets say.
#pragma once
#include <string>
#include <vector>

#include "sim/device.h"
#include "sim/figure.h"

namespace autarky {

// And how far others fit nearly as well: one standard deviation to either side.
struct Fitted {
  double value = 1, low = 1, high = 1;

  static constexpr std::array<std::string_view, 3> kRequired = {"value", "low", "high"};
  static constexpr bool kFlow = true;
  static constexpr auto keys() {
    using S = Fitted;
    return std::tuple{key("value", &S::value, at_least(0)), key("low", &S::low, at_least(0)),
                      key("high", &S::high, at_least(0))};
  }
};

struct FittedStack {
  std::string id;  // of the profile
  Fitted host_s{5e-6, 2e-6, 1e-5}, interference{0.1, 0.05, 0.2}, memory_passes{1.2, 0.9, 1.5};

  static constexpr std::array<std::string_view, 4> kRequired = {"id", "host_s", "interference",
                                                                "memory_passes"};
  static constexpr auto keys() {
    using S = FittedStack;
    return std::tuple{key("id", &S::id), key("host_s", &S::host_s),
                      key("interference", &S::interference),
                      key("memory_passes", &S::memory_passes)};
  }
};

// Times what the sheet says.
struct FittedChip {
  std::string id;
  Fitted products, links, network;

  static constexpr std::array<std::string_view, 4> kRequired = {"id", "products", "links",
                                                                "network"};
  static constexpr auto keys() {
    using S = FittedChip;
    return std::tuple{key("id", &S::id), key("products", &S::products), key("links", &S::links),
                      key("network", &S::network)};
  }
};

struct Calibration {
  std::string id;
  std::string title;
  std::vector<std::string> sources;
  double error = 0;                  // nine of ten of the runs are within a factor of e to this
  Fitted jitter{0.01, 0.005, 0.02};  // of a step on one device, relative; of all alike
  // What products reach in a step of what they reach alone: clocks fall, caches are cold. Of all.
  Fitted in_step{0.93, 0.88, 0.98};
  std::vector<FittedStack> profiles;
  std::vector<FittedChip> chips;

  static constexpr std::array<std::string_view, 3> kRequired = {"title", "profiles", "chips"};
  static constexpr auto keys() {
    using S = Calibration;
    return std::tuple{key("title", &S::title),
                      key("sources", &S::sources),
                      key("error", &S::error, between(0, 10)),
                      key("jitter", &S::jitter),
                      key("in_step", &S::in_step),
                      key("profiles", &S::profiles),
                      key("chips", &S::chips)};
  }

  // The numbers of that id; those that nothing is known of where there are none.
  FittedStack stack(const std::string& id) const;
  FittedChip chip(const std::string& id) const;
};

// fits/published-runs.yaml, as it was when the program was built.
Calibration calibration();
std::string to_yaml(const Calibration& calibration);

// A chip by its sheet on a network (empty: its usual one) with a profile's stack, fitted.
// InputError for unknown names and figures that are needed and not known.
Device device(const std::string& chip, const std::string& network, const std::string& profile,
              const Calibration& fitted);
// Puts the numbers for that chip and profile in place.
void apply(const Calibration& fitted, const std::string& chip, const std::string& profile,
           Device& device);

}  // namespace autarky
