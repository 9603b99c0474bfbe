// Texts that a freshly trained model writes, for its report.
#pragma once
#include <vector>

#include "backend/backend.h"
#include "train/recipe.h"
#include "train/report.h"

namespace autarky::cli {

// Of the newest checkpoint: the recipe's prompts, or else the beginnings of validation documents.
std::vector<ReportSample> write_samples(const Recipe& recipe, const Backend& backend);

}  // namespace autarky::cli
