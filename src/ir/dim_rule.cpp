#include "ir/dim_rule.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/words.h"

namespace autarky {
namespace {

std::vector<RuleDim> parse_list(std::string_view text) {
  std::vector<RuleDim> dims;
  bool whole = false;
  for (char c : text) {
    if (c == '[') whole = true;
    if (c == ']') whole = false;
    if (std::isalpha(static_cast<unsigned char>(c))) dims.push_back({c, whole});
  }
  return dims;
}

[[noreturn]] void bad_rule(std::string_view text) {
  throw InputError("cannot read a dimension rule")
      .found(fmt::format("'{}'", text))
      .wanted("'b s e, f e -> b s f'");
}

bool contains(std::span<const RuleDim> dims, char name) {
  return std::any_of(dims.begin(), dims.end(), [&](RuleDim d) { return d.name == name; });
}

}  // namespace

DimRule dim_rule(std::string_view text, double flops_per_point) {
  const auto arrow = text.find("->");
  if (arrow == std::string_view::npos) bad_rule(text);
  DimRule rule;
  rule.flops_per_point = flops_per_point;
  for (const auto& list : split(text.substr(0, arrow), ',')) rule.in.push_back(parse_list(list));
  for (const auto& list : split(text.substr(arrow + 2), ',')) {
    const auto colon = list.find(':');
    Combine how = Combine::sum;
    if (colon != std::string::npos) {
      const auto* name = std::find(std::begin(kCombineNames), std::end(kCombineNames),
                                   trim(std::string_view(list).substr(0, colon)));
      if (name == std::end(kCombineNames)) bad_rule(text);
      how = static_cast<Combine>(name - std::begin(kCombineNames));
    }
    rule.combine.push_back(how);
    rule.out.push_back(parse_list(colon == std::string::npos ? list : list.substr(colon + 1)));
  }
  return rule;
}

std::vector<char> DimRule::letters() const {
  std::vector<char> all;
  for (const auto* side : {&in, &out})
    for (const auto& dims : *side)
      for (const auto& d : dims)
        if (std::find(all.begin(), all.end(), d.name) == all.end()) all.push_back(d.name);
  return all;
}

bool DimRule::is_whole(char name) const {
  for (const auto* side : {&in, &out})
    for (const auto& dims : *side)
      for (const auto& d : dims)
        if (d.name == name && d.whole) return true;
  return false;
}

std::string dim_names(const Type& type) {
  std::string names;
  for (const auto& d : type.dims) {
    if (!names.empty()) names += ' ';
    names += d.name;
  }
  return names;
}

Extents bind_extents(const DimRule& rule, Types in) {
  if (in.size() != rule.in.size())
    throw InputError("wrong number of inputs")
        .found(std::to_string(in.size()))
        .wanted(std::to_string(rule.in.size()));
  Extents extents = rule.given;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i].dims.size() != rule.in[i].size())
      throw InputError(fmt::format("input {} has the wrong number of dims", i))
          .found(to_string(in[i]))
          .wanted(std::to_string(rule.in[i].size()));
    for (std::size_t d = 0; d < in[i].dims.size(); ++d) {
      const auto [it, fresh] = extents.try_emplace(rule.in[i][d].name, in[i].dims[d].extent);
      if (!fresh && it->second != in[i].dims[d].extent)
        throw InputError(fmt::format("dim '{}' is {} and also {} (input {})", it->first, it->second,
                                     in[i].dims[d].extent, i));
    }
  }
  return extents;
}

Layout input_layout(const DimRule& rule, std::size_t i, const Assignment& assigned) {
  Layout layout;
  for (const auto& d : rule.in[i]) {
    const auto it = assigned.find(d.name);
    layout.split.push_back(it == assigned.end() ? std::vector<Axis>{} : it->second);
  }
  return layout;
}

Layout output_layout(const DimRule& rule, std::size_t i, const Assignment& assigned) {
  Layout layout;
  for (const auto& d : rule.out[i]) {
    const auto it = assigned.find(d.name);
    layout.split.push_back(it == assigned.end() ? std::vector<Axis>{} : it->second);
  }
  for (const auto& [name, axes] : assigned)
    if (!contains(rule.out[i], name))
      for (Axis a : axes) layout.add_partial({a, rule.combine[i]});
  return layout;
}

}  // namespace autarky
