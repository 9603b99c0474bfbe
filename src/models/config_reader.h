// Typed access to the keys of a JSON object, with errors that name file, key, found and wanted.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace autarky {

class ConfigReader {
 public:
  // `where` names the file (and the section within it); InputError unless `json` is an object.
  ConfigReader(const Json& json, std::string where);

  bool has(std::string_view key) const;      // there, and not null
  bool is_null(std::string_view key) const;  // there, and null
  // A whole number from `least` to `most`; without a fallback the key must be there.
  std::int64_t count(std::string_view key, std::int64_t most,
                     std::optional<std::int64_t> fallback = {}, std::int64_t least = 1) const;
  // A finite number greater than 0.
  double positive(std::string_view key, std::optional<double> fallback = {}) const;
  // A finite number, 0 or more.
  double amount(std::string_view key, double fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  std::string text(std::string_view key, std::string_view fallback) const;
  // One token id, or a list of them; none where the key is not there.
  std::vector<std::int64_t> ids(std::string_view key) const;
  // A list of texts; none where the key is not there.
  std::vector<std::string> texts(std::string_view key) const;
  ConfigReader section(std::string_view key) const;

  // Throws unless the flag (or its absence) means `wanted`.
  void require_flag(std::string_view key, bool wanted, std::string_view why) const;
  // Throws unless the text, where there, is one of `allowed`.
  void require_text(std::string_view key, const std::vector<std::string>& allowed) const;
  InputError wrong(std::string_view key, std::string_view wanted) const;

 private:
  const Json* find(std::string_view key) const;
  const Json& need(std::string_view key) const;

  const Json& json_;
  std::string where_;
};

}  // namespace autarky
