// YAML as a tree of our own, within limits; yaml-cpp's headers stay in yaml.cpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace autarky {

struct YamlNode {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;             // of a scalar
  std::vector<YamlNode> items;  // of a list; of a map: key, value, key, value ...
  int line = 0;                 // from 1; 0: not read from a text
  bool flow = false;            // written on one line

  static YamlNode scalar(std::string text);
  static YamlNode list();
  static YamlNode map();
  void add(std::string key, YamlNode value);  // to a map
  bool operator==(const YamlNode&) const = default;
};

inline constexpr std::size_t kMostYamlBytes = 1 << 20;  // of a file

// Aliases stand for what they name, at most 2 MiB of values; nesting is limited to 64 levels.
// InputError names `where` and the line; `what` is what the text should be: "a recipe".
YamlNode parse_yaml(std::string_view text, std::string_view where, std::string_view what);
std::string to_yaml(const YamlNode& node);

}  // namespace autarky
