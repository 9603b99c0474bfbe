// JSON through nlohmann::json; include <nlohmann/json.hpp> only in .cpp files.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/file.h"

namespace autarky {

using Json = nlohmann::ordered_json;

// Parses; an error names the file and the byte. Nesting is limited to 64 levels.
Json parse_json(std::string_view text, std::string_view where);
Json read_json(const fs::path& path);

}  // namespace autarky
