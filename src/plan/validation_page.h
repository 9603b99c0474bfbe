// A page about predictions beside published runs, with a scatter plot.
#pragma once
#include "plan/validate.h"

namespace autarky {

// Writes PAGE.md, and PAGE.svg beside it.
void write_validation_page(const Validation& validation, const fs::path& page);

}  // namespace autarky
