// Names that tokenizer.json uses for values.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "text/json_fields.h"
#include "text/tokenizer_steps.h"

namespace autarky {

template <typename Value, std::size_t n>
using Names = std::array<std::pair<Value, std::string_view>, n>;

inline constexpr Names<NormalForm, 4> kNormalForms{{{NormalForm::nfc, "NFC"},
                                                    {NormalForm::nfd, "NFD"},
                                                    {NormalForm::nfkc, "NFKC"},
                                                    {NormalForm::nfkd, "NFKD"}}};
inline constexpr Names<PrependScheme, 3> kPrependSchemes{{{PrependScheme::first, "first"},
                                                          {PrependScheme::never, "never"},
                                                          {PrependScheme::always, "always"}}};
inline constexpr Names<SplitBehavior, 5> kSplitBehaviors{
    {{SplitBehavior::removed, "Removed"},
     {SplitBehavior::isolated, "Isolated"},
     {SplitBehavior::merged_with_previous, "MergedWithPrevious"},
     {SplitBehavior::merged_with_next, "MergedWithNext"},
     {SplitBehavior::contiguous, "Contiguous"}}};

template <typename Value, std::size_t n>
std::string name_of(Value value, const Names<Value, n>& names) {
  for (const auto& [v, name] : names)
    if (v == value) return std::string(name);
  return "";
}

template <typename Value, std::size_t n>
Value read_name(const JsonField& field, const Names<Value, n>& names) {
  std::string all;
  for (const auto& [value, name] : names) {
    if (field.text() == name) return value;
    (all += all.empty() ? "" : ", ") += name;
  }
  field.support(false, all);
  return {};
}

}  // namespace autarky
