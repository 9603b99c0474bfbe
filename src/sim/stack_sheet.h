// The profile of a software stack, profiles/*.yaml.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "sim/stack.h"

namespace autarky {

struct StackSheet {
  std::string id;  // the file's name
  std::string title;
  std::vector<std::string> sources;
  Stack facts;
  std::string notes;

  static constexpr std::array<std::string_view, 3> kRequired = {"title", "sources", "facts"};
  static constexpr auto keys() {
    using S = StackSheet;
    return std::tuple{key("title", &S::title), key("sources", &S::sources), key("facts", &S::facts),
                      key("notes", &S::notes)};
  }
};

std::vector<std::string> stack_ids();
// Of the program's own profiles by id, or of a .yaml file by path. InputError: unknown, or not a
// profile.
StackSheet stack_sheet(std::string_view id_or_path);

}  // namespace autarky
