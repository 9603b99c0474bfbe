#include "models/config_reader.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace autarky {
namespace {

// The value as the file has it, cut short.
std::string shown(const Json& value) {
  constexpr std::size_t kMost = 60;
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

bool is_whole(const Json& value, std::int64_t least, std::int64_t most) {
  if (value.is_number_unsigned())
    return value.get<std::uint64_t>() <= std::uint64_t(most) &&
           std::int64_t(value.get<std::uint64_t>()) >= least;
  return value.is_number_integer() && value.get<std::int64_t>() >= least &&
         value.get<std::int64_t>() <= most;
}

}  // namespace

ConfigReader::ConfigReader(const Json& json, std::string where)
    : json_(json), where_(std::move(where)) {
  if (!json.is_object())
    throw InputError("a model's configuration is not a JSON object")
        .at(where_)
        .found(shown(json))
        .wanted("an object with model_type");
}

const Json* ConfigReader::find(std::string_view key) const {
  const auto it = json_.find(std::string(key));
  return it == json_.end() || it->is_null() ? nullptr : &*it;
}

const Json& ConfigReader::need(std::string_view key) const {
  if (const Json* value = find(key)) return *value;
  throw InputError(fmt::format("key '{}' is missing", key))
      .at(where_)
      .hint("is this the config.json of a model in Hugging Face's format?");
}

InputError ConfigReader::wrong(std::string_view key, std::string_view wanted) const {
  InputError error(fmt::format("key '{}' has a value that cannot be used", key));
  const Json* value = find(key);
  error.at(where_).found(value ? shown(*value) : "nothing").wanted(wanted);
  return error;
}

bool ConfigReader::has(std::string_view key) const { return find(key) != nullptr; }

bool ConfigReader::is_null(std::string_view key) const {
  const auto it = json_.find(std::string(key));
  return it != json_.end() && it->is_null();
}

std::int64_t ConfigReader::count(std::string_view key, std::int64_t most,
                                 std::optional<std::int64_t> fallback, std::int64_t least) const {
  if (fallback && !has(key)) return *fallback;
  const Json& value = need(key);
  if (!is_whole(value, least, most))
    throw wrong(key, fmt::format("a whole number from {} to {}", least, most));
  return value.get<std::int64_t>();
}

double ConfigReader::positive(std::string_view key, std::optional<double> fallback) const {
  if (fallback && !has(key)) return *fallback;
  const Json& value = need(key);
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() <= 0)
    throw wrong(key, "a number greater than 0");
  return value.get<double>();
}

double ConfigReader::amount(std::string_view key, double fallback) const {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() < 0)
    throw wrong(key, "a number, 0 or more");
  return value->get<double>();
}

bool ConfigReader::flag(std::string_view key, bool fallback) const {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) throw wrong(key, "true or false");
  return value->get<bool>();
}

std::string ConfigReader::text(std::string_view key, std::string_view fallback) const {
  const Json* value = find(key);
  if (!value) return std::string(fallback);
  if (!value->is_string()) throw wrong(key, "a text");
  return value->get<std::string>();
}

std::vector<std::int64_t> ConfigReader::ids(std::string_view key) const {
  constexpr std::int64_t kMostIds = 256, kLargestId = 2147483647;
  const Json* value = find(key);
  if (!value) return {};
  const Json list = value->is_array() ? *value : Json::array({*value});
  std::vector<std::int64_t> result;
  for (const Json& id : list) {
    if (!is_whole(id, 0, kLargestId) || std::int64_t(list.size()) > kMostIds)
      throw wrong(key, "a token's number, or a list of such numbers");
    result.push_back(id.get<std::int64_t>());
  }
  return result;
}

std::vector<std::string> ConfigReader::texts(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  if (!value->is_array() ||
      !std::all_of(value->begin(), value->end(), [](const Json& text) { return text.is_string(); }))
    throw wrong(key, "a list of texts");
  return value->get<std::vector<std::string>>();
}

ConfigReader ConfigReader::section(std::string_view key) const {
  return {need(key), fmt::format("{}: {}", where_, key)};
}

void ConfigReader::require_flag(std::string_view key, bool wanted, std::string_view why) const {
  if (flag(key, wanted) != wanted) throw wrong(key, wanted ? "true" : "false").hint(why);
}

void ConfigReader::require_text(std::string_view key,
                                const std::vector<std::string>& allowed) const {
  if (!has(key)) return;
  const std::string value = text(key, "");
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    throw wrong(key, fmt::format("{}", fmt::join(allowed, " or ")));
}

}  // namespace autarky
