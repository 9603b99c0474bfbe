// Models by name.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"

namespace autarky {

struct Preset {
  std::string name;
  ModelConfig config;
};

// The only list of them, small ones first.
std::vector<Preset> presets();
std::vector<std::string> preset_names();

// InputError, with the nearest name and the list, if there is none of that name.
ModelConfig preset_config(std::string_view name);

}  // namespace autarky
