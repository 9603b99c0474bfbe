// The recipe of a planned layout.
#pragma once
#include "models/engine_options.h"
#include "train/recipe.h"

namespace autarky {

// `preset`: the model's name. Data and tokenizer are named as scripts/quickstart.sh lays them out;
// what else a plan does not decide has its default.
Recipe planned_recipe(const EngineOptions& options, std::int64_t global_batch,
                      const std::string& preset);

}  // namespace autarky
