// Options that all verbs with a model share.
#pragma once
#include <optional>

#include "base/dtype.h"
#include "cli/command.h"
#include "serve/model.h"

namespace autarky::cli {

void add_dtype(Command& command, std::string& dtype);
std::optional<DType> parse_dtype_option(const std::string& dtype);  // "": the weights' own

}  // namespace autarky::cli
