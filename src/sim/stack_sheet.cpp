#include "sim/stack_sheet.h"

#include "sim/sheet_file.h"

namespace autarky {

std::vector<std::string> stack_ids() { return sheet_ids(embedded_profiles()); }

StackSheet stack_sheet(std::string_view id_or_path) {
  return read_sheet<StackSheet>(find_sheet(id_or_path, embedded_profiles(), "profile"), "profile");
}

}  // namespace autarky
