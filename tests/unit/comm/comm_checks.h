// What every communicator must do, as checks that run on all ranks of any number.
#pragma once
#include <span>
#include <string_view>

#include "comm/comm.h"

namespace autarky {

struct CommCheck {
  std::string_view name;
  void (*run)(Comm& comm);  // throws Error where something is wrong
};

std::span<const CommCheck> comm_checks();

}  // namespace autarky
