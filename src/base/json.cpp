#include "base/json.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace autarky {

Json parse_json(std::string_view text, std::string_view where) {
  constexpr int kMaxDepth = 64;
  bool too_deep = false;
  const auto limit = [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > kMaxDepth;
    return !too_deep;
  };
  try {
    Json result = Json::parse(text, limit);
    if (too_deep)
      throw InputError(fmt::format("JSON nested deeper than {} levels", kMaxDepth)).at(where);
    return result;
  } catch (const Json::parse_error& e) {
    throw InputError(fmt::format("not valid JSON at byte {} of {}", e.byte, text.size()))
        .at(where)
        .hint("The file may be truncated or not JSON at all");
  } catch (const Json::exception& e) {  // a number beyond f64, for example
    throw InputError(fmt::format("not valid JSON: {}", e.what())).at(where);
  }
}

Json read_json(const fs::path& path) {
  const MappedFile file(path);
  return parse_json(file.text(), path.string());
}

}  // namespace autarky
