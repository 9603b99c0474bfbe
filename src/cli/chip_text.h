// Figures of data sheets as words and as JSON.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "sim/chip_sheet.h"

namespace autarky::cli {

// A line for each: name, value, mark, source.
std::string figures_text(const std::vector<NamedFigure>& all);

Json sheet_json(const ChipSheet& sheet);
Json sheet_json(const NetworkSheet& sheet);

}  // namespace autarky::cli
