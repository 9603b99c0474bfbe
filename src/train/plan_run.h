// What a recipe means: its model, its mesh, the options of its step.
#pragma once
#include "train/engine.h"
#include "train/recipe.h"

namespace autarky {

// The recipe that a run was started with. InputError where there is no run.
Recipe recipe_of_run(const fs::path& run);
// InputError if its files cannot be read.
ModelConfig model_of(const ModelSection& section);
Mesh mesh_of(const ParallelSection& parallel, const ModelConfig& model);
EngineOptions engine_options(const Recipe& recipe, const ModelConfig& model);

}  // namespace autarky
