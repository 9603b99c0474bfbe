// JSON through nlohmann::json; include <nlohmann/json.hpp> only in .cpp files.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/file.h"

namespace autarky {

using Json = nlohmann::ordered_json;

// Keys of an object are looked up one by one, so objects of hostile size would take quadratic time.
inline constexpr std::size_t kMostKeys = 10'000;

// Parses; an error names the file and the byte. Nesting is limited to 64 levels, an object to
// kMostKeys.
Json parse_json(std::string_view text, std::string_view where);
Json read_json(const fs::path& path);
// Without an order of keys, and so for objects of any size. InputError for a key that the outermost
// object has twice.
nlohmann::json parse_json_unordered(std::string_view text, std::string_view where);
nlohmann::json read_json_unordered(const fs::path& path);

}  // namespace autarky
