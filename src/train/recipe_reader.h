// Reads YAML into a recipe. Inside src/train/recipe*.cpp only.
#pragma once
#include <string>

#include "train/recipe.h"

namespace YAML {
class Node;
}

namespace autarky {

struct RecipeText {
  std::string name;  // the file, or the override
  bool override = false;
};

// Sets the keys that `node` gives and leaves the others. Throws as load_recipe does.
void read_recipe(const YAML::Node& node, const RecipeText& text, Recipe& recipe);

}  // namespace autarky
