// Rotary embedding's keys in config.json.
#pragma once
#include "models/config_reader.h"
#include "models/rope.h"

namespace autarky {

// From "rope_theta" and "rope_scaling" (with "rope_type" or the older "type"), or from the newer
// "rope_parameters", which holds all of it. `max_positions` stands in for original positions not
// given.
RopeConfig read_rope(const ConfigReader& reader, std::int64_t max_positions);

// Sets "rope_theta" and "rope_scaling", which every version of transformers reads.
void write_rope(const RopeConfig& rope, Json& json);

}  // namespace autarky
