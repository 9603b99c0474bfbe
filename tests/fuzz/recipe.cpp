// A recipe, and behind bytes 0 overrides; the resolved recipe written and read again.
#include "train/recipe.h"

#include "fuzz/fuzz.h"

using namespace autarky;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parts = parts_of(as_text(data, size));
  const fs::path path = fuzz_folder().write("recipe.yaml", parts[0]);
  const std::vector<std::string> overrides(parts.begin() + 1, parts.end());
  Recipe recipe;
  if (!accepted([&] { recipe = load_recipe(path, overrides); })) return 0;
  const fs::path written = fuzz_folder().write("written.yaml", to_yaml(recipe));
  AUTARKY_CHECK(load_recipe(written) == recipe, "a written recipe reads back as the same");
  return 0;
}
