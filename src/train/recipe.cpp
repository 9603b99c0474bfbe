#include "train/recipe.h"

#include <fmt/core.h>

#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/keys_yaml.h"
#include "text/utf8.h"
#include "train/recipe_words.h"

namespace autarky {
namespace {

YamlNode parse(std::string_view text, const std::string& where) {
  if (const auto valid = valid_utf8_prefix(text); valid < text.size())
    throw InputError("this is not YAML: it is no UTF-8")
        .at(where)
        .found(fmt::format("byte {:#04x} at {}", static_cast<unsigned char>(text[valid]), valid));
  return parse_yaml(text, where, "a recipe");
}

InputError too_large(const fs::path& path, std::size_t bytes, const char* with) {
  return InputError("too large for a recipe")
      .at(path.string())
      .found(fmt::format("{} bytes{}", bytes, with))
      .wanted(fmt::format("at most {}", kMostYamlBytes));
}

// Sets the keys that `node` gives and leaves the others.
void apply(const YamlNode& node, const YamlSource& source, Recipe& recipe) {
  YamlReader(source).section(node, "", recipe);
}

void apply_file(const fs::path& path, Recipe& recipe) {
  const MappedFile file(path);
  if (file.bytes().size() > kMostYamlBytes) throw too_large(path, file.bytes().size(), "");
  apply(parse(file.text(), path.string()), {path.string(), false, "recipe"}, recipe);
}

// "--train.steps=60" is the file "train: {steps: 60}".
void apply_override(const std::string& override, Recipe& recipe) {
  const auto equals = override.find('=');
  if (!override.starts_with("--") || equals == std::string::npos || equals == 2)
    throw InputError(fmt::format("cannot use '{}'", override)).wanted("--section.key=value");
  const std::string_view name = std::string_view(override).substr(2, equals - 2);
  YamlNode node = parse(std::string_view(override).substr(equals + 1), override);
  const auto dot = name.find('.');
  if (dot != std::string_view::npos) {
    YamlNode section = YamlNode::map();
    section.add(std::string(name.substr(dot + 1)), std::move(node));
    node = std::move(section);
  }
  YamlNode root = YamlNode::map();
  root.add(std::string(name.substr(0, dot)), std::move(node));
  apply(root, {override, true, "recipe"}, recipe);
}

InputError bad(const fs::path& path, std::string what) {
  return InputError(std::move(what)).at(path.string());
}

void check_sources(const std::vector<DataSource>& list, const fs::path& path) {
  for (const auto& source : list) {
    if (source.prefix.empty()) throw bad(path, "a source of data has no prefix");
    if (source.weight.has_value() != list.front().weight.has_value())
      throw bad(path, fmt::format("'{}' and '{}' differ in having a weight", list.front().prefix,
                                  source.prefix))
          .hint("Give all sources of a list a weight, or none.");
  }
}

void check_model_and_data(const Recipe& r, const fs::path& path) {
  if (!r.model.preset.empty() && !r.model.config.empty())
    throw bad(path, "model.preset and model.config are both given")
        .hint("Leave one of them out, or clear it: --model.preset=");
  if (r.model.preset.empty() && r.model.config.empty() && r.model.init_from.empty())
    throw bad(path, "no model is given").wanted("model.preset, model.config or model.init_from");
  if (r.data.train.empty())
    throw bad(path, "data.train is empty").hint("List the prefixes that `data build` made.");
  check_sources(r.data.train, path);
  check_sources(r.data.validation, path);
  std::int64_t before = 1;
  for (const auto& phase : r.data.phases) {
    if (phase.from_step <= before)
      throw bad(path, "the phases of data.phases do not rise")
          .found(fmt::format("from_step {} after {}", phase.from_step, before))
          .wanted("each above the one before it, the first 2 or more");
    if (phase.train.empty())
      throw bad(path, fmt::format("the phase from step {} has no train", phase.from_step));
    check_sources(phase.train, path);
    before = phase.from_step;
  }
}

void check_batch(const Recipe& r, const fs::path& path) {
  const auto& p = r.parallel;
  const std::int64_t rows = r.train.micro_batch_size * p.data_parallel_size;
  if (r.train.global_batch_size % rows != 0)
    throw bad(path, "train.global_batch_size does not divide into micro-batches")
        .found(fmt::format("{}", r.train.global_batch_size))
        .wanted(fmt::format("a multiple of micro_batch_size {} x data_parallel_size {} = {}",
                            r.train.micro_batch_size, p.data_parallel_size, rows));
  if (!std::has_single_bit(std::uint64_t(p.lanes)) || p.lanes % p.data_parallel_size != 0)
    throw bad(path, "parallel.lanes does not fit")
        .found(fmt::format("{}", p.lanes))
        .wanted(
            fmt::format("a power of two that data_parallel_size {} divides", p.data_parallel_size));
  const std::int64_t microbatches = r.train.global_batch_size / r.train.micro_batch_size;
  if (microbatches % p.lanes != 0)
    throw bad(path, "parallel.lanes does not divide the micro-batches of a step")
        .found(fmt::format("{} lanes, {} micro-batches", p.lanes, microbatches))
        .hint("Use fewer lanes, smaller micro-batches or a larger global batch.");
  if (r.train.seq_length % p.context_parallel_size != 0)
    throw bad(path, "parallel.context_parallel_size does not divide train.seq_length")
        .found(fmt::format("{} and {}", p.context_parallel_size, r.train.seq_length));
}

// A run's folder keeps the resolved recipe, which must read back.
void check_size(const Recipe& recipe, const fs::path& path) {
  const std::size_t bytes = to_yaml(recipe).size();
  if (bytes > kMostYamlBytes) throw too_large(path, bytes, " with its aliases and overrides in it");
}

}  // namespace

const std::vector<DataSource>& DataSection::train_at(std::int64_t step) const {
  const auto* found = &train;
  for (const auto& phase : phases)
    if (phase.from_step <= step) found = &phase.train;
  return *found;
}

Recipe load_recipe(const fs::path& path, const std::vector<std::string>& overrides) {
  Recipe recipe;
  apply_file(path, recipe);
  for (const auto& override : overrides) apply_override(override, recipe);
  if (recipe.parallel.lanes == 0) recipe.parallel.lanes = recipe.parallel.data_parallel_size;
  if (recipe.logging.run_dir.empty())
    recipe.logging.run_dir = (fs::path("runs") / path.stem()).string();
  check_model_and_data(recipe, path);
  check_batch(recipe, path);
  check_size(recipe, path);
  return recipe;
}

std::string to_yaml(const Recipe& recipe) { return to_yaml(to_yaml_node(recipe)); }

}  // namespace autarky
