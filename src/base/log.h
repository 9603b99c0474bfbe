// Log lines on standard error, each with its level; standard output belongs to results.
#pragma once
#include <string_view>

namespace autarky {

void log_info(std::string_view message);
void log_warning(std::string_view message);
void set_quiet(bool quiet);  // warnings only

}  // namespace autarky
