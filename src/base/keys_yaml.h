// Sections (keys.h) from YAML and back. An error names file, line and key, what was found and what
// is wanted; an unknown key also the nearest one.
#pragma once
#include <fmt/format.h>

#include <charconv>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>

#include "base/error.h"
#include "base/keys.h"
#include "base/yaml.h"

namespace autarky {

struct YamlSource {
  std::string name;           // the file, or the override
  bool override = false;      // of one line: no line numbers
  std::string what = "file";  // what the whole is: "recipe"
};

class YamlReader {
 public:
  explicit YamlReader(const YamlSource& source) : source_(source) {}

  // Sets the keys that `node` gives and leaves the others.
  template <HasKeys Section>
  void section(const YamlNode& node, const std::string& name, Section& into) const {
    if (node.kind == YamlNode::Kind::null) {  // "optimizer:" with all its keys left out
      if constexpr (requires { Section::kRequired; })
        throw missing(node, name, Section::kRequired[0], {});
      return;
    }
    if constexpr (requires { Section::kBareKey; }) {
      if (node.kind == YamlNode::Kind::scalar)
        return key_value(node, Section::kBareKey, name, into);
    }
    if (node.kind != YamlNode::Kind::map) throw mistyped(node, name, "a section of keys");
    std::set<std::string> seen;
    for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
      const std::string& k = checked_key(node.items[i], name, names<Section>(), seen);
      key_value(node.items[i + 1], k, name, into);
    }
    if constexpr (requires { Section::kRequired; }) {
      for (const std::string_view k : Section::kRequired)
        if (!seen.contains(std::string(k))) throw missing(node, name, k, seen);
    }
  }

 private:
  template <class Section>
  static std::vector<std::string> names() {
    return std::apply(
        [](const auto&... k) { return std::vector<std::string>{std::string(k.name)...}; },
        Section::keys());
  }

  template <class Section>
  void key_value(const YamlNode& node, std::string_view k, const std::string& name,
                 Section& into) const {
    const auto try_one = [&](const auto& each) {
      if (each.name == k) value(node, join(name, k), each.range, into.*(each.member));
    };
    std::apply([&](const auto&... each) { (try_one(each), ...); }, Section::keys());
  }

  template <class T>
  void value(const YamlNode& node, const std::string& name, const Range& range, T& v) const {
    if constexpr (HasKeys<T>) {
      section(node, name, v);
    } else if constexpr (IsVector<T>) {
      list(node, name, range, v);
    } else if constexpr (IsOptional<T>) {
      value(node, name, range, v.emplace());
    } else if constexpr (std::is_same_v<T, std::string>) {
      v = text(node, name);
    } else if constexpr (HasWords<T>) {
      choice(node, name, v);
    } else {
      number(node, name, range, v);
    }
  }

  template <class T>
  void list(const YamlNode& node, const std::string& name, const Range& range,
            std::vector<T>& v) const {
    v.clear();
    if (node.kind == YamlNode::Kind::null) return;
    if (node.kind != YamlNode::Kind::list)
      return value(node, name, range, v.emplace_back());  // a list of one
    for (const auto& element : node.items) {
      const std::string name_of_element = fmt::format("{}[{}]", name, v.size());
      value(element, name_of_element, range, v.emplace_back());
    }
  }

  template <class T>
  void choice(const YamlNode& node, const std::string& name, T& v) const {
    std::string known;
    for (const auto& [word, meaning] : words(static_cast<const T*>(nullptr))) {
      if (node.kind == YamlNode::Kind::scalar && node.text == word) return void(v = meaning);
      known += (known.empty() ? "" : ", ") + std::string(word);
    }
    throw mistyped(node, name, "one of " + known);
  }

  template <class T>
  void number(const YamlNode& node, const std::string& name, const Range& range, T& v) const {
    const char* const end = node.text.data() + node.text.size();
    const auto [stop, error] = std::from_chars(node.text.data(), end, v);
    if (node.kind != YamlNode::Kind::scalar || error != std::errc() || stop != end ||
        !contains(range, double(v)))
      throw mistyped(node, name, wanted(range, std::is_integral_v<T>));
  }

  static std::string join(const std::string& name, std::string_view k);
  static bool contains(const Range& range, double v);
  static std::string wanted(const Range& range, bool whole);
  // The key's name, if it is one of `known` and not there yet.
  const std::string& checked_key(const YamlNode& key_node, const std::string& name,
                                 const std::vector<std::string>& known,
                                 std::set<std::string>& seen) const;
  std::string text(const YamlNode& node, const std::string& name) const;
  std::string at(const YamlNode& node) const;
  InputError mistyped(const YamlNode& node, const std::string& name, std::string wanted) const;
  InputError missing(const YamlNode& node, const std::string& name, std::string_view k,
                     const std::set<std::string>& seen) const;

  const YamlSource& source_;
};

template <class T>
YamlNode to_yaml_node(const T& value);

// Whether the key may be left out in writing: it has its default and is not required.
template <class Section, class T>
bool can_be_left_out(const auto& section, const Key<Section, T>& k) {
  if constexpr (IsOptional<T>) return !(section.*(k.member));
  else if constexpr (!requires { Section::kBrief; }) return false;
  else {
    if constexpr (requires { Section::kRequired; })
      for (const auto name : Section::kRequired)
        if (name == k.name) return false;
    return to_yaml_node(section.*(k.member)) == to_yaml_node(Section().*(k.member));
  }
}

template <class T>
YamlNode to_yaml_node(const T& value) {
  if constexpr (HasKeys<T>) {
    YamlNode node = YamlNode::map();
    if constexpr (requires { T::kFlow; }) node.flow = T::kFlow;
    const auto one = [&](const auto& k) {
      if (!can_be_left_out(value, k))
        node.add(std::string(k.name), to_yaml_node(value.*(k.member)));
    };
    std::apply([&](const auto&... k) { (one(k), ...); }, T::keys());
    return node;
  } else if constexpr (IsOptional<T>) {
    return value ? to_yaml_node(*value) : YamlNode();
  } else if constexpr (IsVector<T>) {
    YamlNode node = YamlNode::list();
    for (const auto& element : value) node.items.push_back(to_yaml_node(element));
    return node;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return YamlNode::scalar(value);
  } else if constexpr (HasWords<T>) {
    return YamlNode::scalar(std::string(word_of(value)));
  } else {
    return YamlNode::scalar(fmt::format("{}", value));  // shortest text with the same bits
  }
}

}  // namespace autarky
