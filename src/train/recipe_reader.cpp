#include "train/recipe_reader.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/words.h"
#include "train/recipe_words.h"

namespace autarky {
namespace {

std::string describe(const YAML::Node& node) {
  if (node.IsSequence()) return "a list";
  if (node.IsMap()) return "a section of keys";
  if (!node.IsScalar() || node.Scalar().empty()) return "nothing";
  const std::string& text = node.Scalar();
  return text.size() <= 60 ? "'" + text + "'" : fmt::format("a text of {} bytes", text.size());
}

std::string describe(const Range& range, std::string_view kind) {
  constexpr double kFree = std::numeric_limits<double>::max();
  std::string text(kind);
  if (range.least > -kFree)
    text += fmt::format(" {} {}", range.without_least ? "above" : "of at least", range.least);
  if (range.most < kFree)
    text += fmt::format("{} {} {}", range.least > -kFree ? " and" : "",
                        range.without_most ? "below" : "at most", range.most);
  return text;
}

bool contains(const Range& range, double v) {
  return std::isfinite(v) && (range.without_least ? v > range.least : v >= range.least) &&
         (range.without_most ? v < range.most : v <= range.most);
}

class RecipeReader {
 public:
  explicit RecipeReader(const RecipeText& text) : text_(text) {}

  template <class Section>
  void section(const YAML::Node& node, const std::string& name, Section& into) const {
    if (node.IsNull()) return;  // "optimizer:" with all its keys left out
    if constexpr (requires { Section::kBareKey; }) {
      if (node.IsScalar()) return key_value(node, Section::kBareKey, name, into);
    }
    if (!node.IsMap()) throw mistyped(node, name, "a section of keys");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const YAML::Node& key_node = entry.first;
      if (!key_node.IsScalar()) throw mistyped(key_node, name, "a key");
      const std::string& k = key_node.Scalar();
      if (!seen.insert(k).second)
        throw InputError(fmt::format("key '{}' is given twice", join(name, k))).at(at(key_node));
      if (!is_key<Section>(k)) throw unknown<Section>(key_node, name);
      key_value(entry.second, k, name, into);
    }
  }

 private:
  static std::string join(const std::string& name, std::string_view k) {
    return name.empty() ? std::string(k) : name + "." + std::string(k);
  }

  template <class Section>
  static std::vector<std::string> names() {
    return std::apply(
        [](const auto&... k) { return std::vector<std::string>{std::string(k.name)...}; },
        Section::keys());
  }

  template <class Section>
  static bool is_key(std::string_view k) {
    return std::apply([&](const auto&... each) { return ((each.name == k) || ...); },
                      Section::keys());
  }

  template <class Section>
  void key_value(const YAML::Node& node, std::string_view k, const std::string& name,
                 Section& into) const {
    const auto try_one = [&](const auto& each) {
      if (each.name == k) value(node, join(name, k), each.range, into.*(each.member));
    };
    std::apply([&](const auto&... each) { (try_one(each), ...); }, Section::keys());
  }

  // Aliases repeat what they name: a short file could say a recipe beyond any memory.
  void count(const YAML::Node& node) const {
    constexpr std::size_t kMost = 2 << 20;
    read_ += node.IsScalar() ? node.Scalar().size() + 1 : 1;
    if (read_ > kMost)
      throw InputError("too large for a recipe")
          .at(at(node))
          .found("aliases that repeat too much")
          .wanted(fmt::format("at most {} bytes of values", kMost));
  }

  template <class T>
  void value(const YAML::Node& node, const std::string& name, const Range& range, T& v) const {
    count(node);
    if constexpr (HasKeys<T>) {
      section(node, name, v);
    } else if constexpr (IsVector<T>) {
      list(node, name, range, v);
    } else if constexpr (IsOptional<T>) {
      value(node, name, range, v.emplace());
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!node.IsScalar() && !node.IsNull()) throw mistyped(node, name, "a text");
      v = node.IsNull() ? "" : node.Scalar();
    } else if constexpr (HasWords<T>) {
      choice(node, name, v);
    } else {
      number(node, name, range, v);
    }
  }

  template <class T>
  void list(const YAML::Node& node, const std::string& name, const Range& range,
            std::vector<T>& v) const {
    v.clear();
    if (node.IsNull()) return;
    if (!node.IsSequence()) return value(node, name, range, v.emplace_back());  // a list of one
    for (const auto& element : node) {
      const std::string name_of_element = fmt::format("{}[{}]", name, v.size());
      value(element, name_of_element, range, v.emplace_back());
    }
  }

  template <class T>
  void choice(const YAML::Node& node, const std::string& name, T& v) const {
    std::vector<std::string> known;
    for (const auto& [word, meaning] : words(static_cast<const T*>(nullptr))) {
      if (node.IsScalar() && node.Scalar() == word) return void(v = meaning);
      known.emplace_back(word);
    }
    throw mistyped(node, name, fmt::format("one of {}", fmt::join(known, ", ")));
  }

  template <class T>
  void number(const YAML::Node& node, const std::string& name, const Range& range, T& v) const {
    const std::string wanted =
        describe(range, std::is_integral_v<T> ? "a whole number" : "a number");
    if (!node.IsScalar()) throw mistyped(node, name, wanted);
    const std::string& text = node.Scalar();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error != std::errc() || end != text.data() + text.size() || !contains(range, double(v)))
      throw mistyped(node, name, wanted);
  }

  std::string at(const YAML::Node& node) const {
    if (text_.override || node.Mark().is_null()) return text_.name;
    return fmt::format("{}:{}", text_.name, node.Mark().line + 1);
  }

  InputError mistyped(const YAML::Node& node, const std::string& name, std::string wanted) const {
    return InputError(fmt::format("{} cannot be used", name.empty() ? "the recipe" : name))
        .at(at(node))
        .found(describe(node))
        .wanted(wanted);
  }

  template <class Section>
  InputError unknown(const YAML::Node& key_node, const std::string& name) const {
    const auto known = names<Section>();
    const auto nearest = nearest_name(key_node.Scalar(), known);
    const auto hint = nearest.empty() ? fmt::format("Known keys: {}.", fmt::join(known, ", "))
                                      : fmt::format("Did you mean '{}'?", join(name, nearest));
    return InputError(fmt::format("unknown key '{}'", join(name, key_node.Scalar())))
        .at(at(key_node))
        .hint(hint);
  }

  const RecipeText& text_;
  mutable std::size_t read_ = 0;  // bytes of values
};

}  // namespace

void read_recipe(const YAML::Node& node, const RecipeText& text, Recipe& recipe) {
  RecipeReader(text).section(node, "", recipe);
}

}  // namespace autarky
