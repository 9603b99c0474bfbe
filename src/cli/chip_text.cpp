#include "cli/chip_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace autarky::cli {
namespace {

template <class T>
Json to_json(const T& value) {
  if constexpr (HasKeys<T>) {
    Json object = Json::object();
    const auto one = [&](const auto& k) {
      const auto& v = value.*(k.member);
      if constexpr (IsOptional<std::decay_t<decltype(v)>>) {
        if (v) object[std::string(k.name)] = to_json(*v);
      } else {
        object[std::string(k.name)] = to_json(v);
      }
    };
    std::apply([&](const auto&... k) { (one(k), ...); }, T::keys());
    return object;
  } else if constexpr (IsVector<T>) {
    Json list = Json::array();
    for (const auto& element : value) list.push_back(to_json(element));
    return list;
  } else if constexpr (HasWords<T>) {
    return std::string(word_of(value));
  } else {
    return value;
  }
}

}  // namespace

std::string figures_text(const std::vector<NamedFigure>& all) {
  std::size_t names = 0, values = 0;
  for (const auto& f : all) {
    names = std::max(names, f.name.size());
    values = std::max(values, figure_text(f).size());
  }
  std::string text;
  for (const auto& f : all)
    text += fmt::format("  {:<{}}  {:<{}}  {:<8}  {}\n", f.name, names, figure_text(f), values,
                        word_of(f.figure.mark), f.figure.source);
  return text;
}

Json sheet_json(const ChipSheet& sheet) { return to_json(sheet); }
Json sheet_json(const NetworkSheet& sheet) { return to_json(sheet); }

}  // namespace autarky::cli
