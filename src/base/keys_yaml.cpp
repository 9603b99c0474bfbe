#include "base/keys_yaml.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/words.h"

namespace autarky {
namespace {

std::string describe(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::list) return "a list";
  if (node.kind == YamlNode::Kind::map) return "a section of keys";
  if (node.text.empty()) return "nothing";
  return node.text.size() <= 60 ? "'" + node.text + "'"
                                : fmt::format("a text of {} bytes", node.text.size());
}

}  // namespace

std::string YamlReader::join(const std::string& name, std::string_view k) {
  return name.empty() ? std::string(k) : name + "." + std::string(k);
}

bool YamlReader::contains(const Range& range, double v) {
  return std::isfinite(v) && (range.without_least ? v > range.least : v >= range.least) &&
         (range.without_most ? v < range.most : v <= range.most);
}

std::string YamlReader::wanted(const Range& range, bool whole) {
  constexpr double kFree = std::numeric_limits<double>::max();
  std::string text = whole ? "a whole number" : "a number";
  if (range.least > -kFree)
    text += fmt::format(" {} {}", range.without_least ? "above" : "of at least", range.least);
  if (range.most < kFree)
    text += fmt::format("{} {} {}", range.least > -kFree ? " and" : "",
                        range.without_most ? "below" : "at most", range.most);
  return text;
}

const std::string& YamlReader::checked_key(const YamlNode& key_node, const std::string& name,
                                           const std::vector<std::string>& known,
                                           std::set<std::string>& seen) const {
  if (key_node.kind != YamlNode::Kind::scalar) throw mistyped(key_node, name, "a key");
  const std::string& k = key_node.text;
  if (!seen.insert(k).second)
    throw InputError(fmt::format("key '{}' is given twice", join(name, k))).at(at(key_node));
  if (std::find(known.begin(), known.end(), k) != known.end()) return k;
  const auto nearest = nearest_name(k, known);
  throw InputError(fmt::format("unknown key '{}'", join(name, k)))
      .at(at(key_node))
      .hint(nearest.empty() ? fmt::format("Known keys: {}.", fmt::join(known, ", "))
                            : fmt::format("Did you mean '{}'?", join(name, nearest)));
}

std::string YamlReader::text(const YamlNode& node, const std::string& name) const {
  const bool scalar = node.kind == YamlNode::Kind::scalar;
  if (!scalar && node.kind != YamlNode::Kind::null) throw mistyped(node, name, "a text");
  return node.text;
}

std::string YamlReader::at(const YamlNode& node) const {
  if (source_.override || node.line == 0) return source_.name;
  return fmt::format("{}:{}", source_.name, node.line);
}

InputError YamlReader::mistyped(const YamlNode& node, const std::string& name,
                                std::string wanted) const {
  return InputError(fmt::format("{} cannot be used", name.empty() ? "the " + source_.what : name))
      .at(at(node))
      .found(describe(node))
      .wanted(wanted);
}

InputError YamlReader::missing(const YamlNode& node, const std::string& name, std::string_view k,
                               const std::set<std::string>& seen) const {
  return InputError(fmt::format("{} is missing", join(name, k)))
      .at(at(node))
      .found(seen.empty() ? "no keys" : fmt::format("only {}", fmt::join(seen, ", ")))
      .wanted(fmt::format("a key {}", k));
}

}  // namespace autarky
