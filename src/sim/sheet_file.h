// Finds data sheets: those that are built into the program, or a user's own files.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/keys_yaml.h"
#include "sim/figure.h"

namespace autarky {

struct EmbeddedFile {
  std::string_view id, text;
};
// chips/*.yaml, networks, profiles and fits as they were when the program was built, by id.
std::span<const EmbeddedFile> embedded_chips();
std::span<const EmbeddedFile> embedded_networks();
std::span<const EmbeddedFile> embedded_profiles();
std::span<const EmbeddedFile> embedded_fits();

struct SheetFile {
  std::string id, where, text;
};

// `kind`: "chip", "network", "profile" or "fit". InputError for an unknown id, with the nearest
// ones.
SheetFile find_sheet(std::string_view id_or_path, std::span<const EmbeddedFile> files,
                     std::string_view kind);
std::vector<std::string> sheet_ids(std::span<const EmbeddedFile> files);

template <class Sheet>
Sheet read_sheet(const SheetFile& file, const std::string& what) {
  Sheet sheet;
  const YamlSource source{file.where, false, what};
  YamlReader(source).section(parse_yaml(file.text, file.where, "a " + what), "", sheet);
  sheet.id = file.id;
  return sheet;
}

// All figures below `value`, a section of keys, with their dotted names. A list's elements go by
// their own names.
template <class T>
void collect_figures(const T& value, const std::string& name, std::vector<NamedFigure>& all) {
  if constexpr (std::is_base_of_v<Figure, T>) {
    all.push_back({name, value});
  } else if constexpr (std::is_same_v<T, PriceRange>) {
    all.push_back({name + ".low", {value.low, value.mark, value.source}});
    all.push_back({name + ".high", {value.high, value.mark, value.source}});
  } else if constexpr (IsOptional<T>) {
    if (value) collect_figures(*value, name, all);
  } else if constexpr (IsVector<T>) {
    if constexpr (requires { value.front().name; })
      for (const auto& element : value) collect_figures(element, name + "." + element.name, all);
  } else if constexpr (HasKeys<T>) {
    const auto dotted = [&](std::string_view k) {
      return name.empty() ? std::string(k) : name + "." + std::string(k);
    };
    std::apply(
        [&](const auto&... k) { (collect_figures(value.*(k.member), dotted(k.name), all), ...); },
        T::keys());
  }
}

}  // namespace autarky
