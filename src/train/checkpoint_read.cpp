// Finding, checking and loading checkpoints.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "train/checkpoint.h"
#include "train/manifest.h"

namespace autarky {
namespace {

constexpr std::string_view kStepPrefix = "step_";

// The first key, of either, that the two do not share.
std::string first_difference(const Json& a, const Json& b) {
  for (const auto& [key, value] : a.items())
    if (!b.contains(key) || b[key] != value) return key;
  for (const auto& [key, value] : b.items())
    if (!a.contains(key)) return key;
  return "";
}

// What the program makes of a config.json: keys that it adds or leaves make no other model.
Json canonical(const Json& json, const fs::path& file) {
  return to_config_json(parse_config(json, file.string()));
}

void check_model(const fs::path& path, const ModelConfig& config) {
  const fs::path file = path / "config.json";
  const Json found = canonical(read_json(file), file);
  const Json wanted = canonical(to_config_json(config), file);
  const std::string key = first_difference(found, wanted);
  if (key.empty()) return;
  const auto text = [&](const Json& json) {
    return json.contains(key) ? json[key].dump() : "none";
  };
  throw InputError(fmt::format("the checkpoint is of another model: '{}' differs", key))
      .at(file.string())
      .found(text(found))
      .wanted(text(wanted))
      .hint("Resume with the recipe that the run was started with, or use a new run_dir");
}

fs::path optimizer_path(const fs::path& path) {
  const fs::path index = path / "optimizer.safetensors.index.json";
  std::error_code ignored;
  return fs::exists(index, ignored) ? index : path / "optimizer.safetensors";
}

void load_optimizer(const fs::path& path, const ModelConfig& config, const StateSink& sink,
                    const StateFilter& filter) {
  const SafetensorsReader reader(optimizer_path(path));
  std::vector<float> values;
  for (const auto& parameter : parameter_instances(config))
    for (const StatePart part : {StatePart::m, StatePart::v}) {
      const SafetensorsSpec wanted = optimizer_tensor(part, parameter);
      const SafetensorsTensor& tensor = reader.tensor(wanted.name);
      if (tensor.shape != wanted.shape || tensor.dtype != wanted.dtype)
        throw InputError(fmt::format("tensor '{}' is not the model's", wanted.name))
            .at(reader.path().string())
            .found(fmt::format("{} {}", safetensors_dtype_name(tensor.dtype), tensor.shape))
            .wanted(fmt::format("{} {}", safetensors_dtype_name(wanted.dtype), wanted.shape));
      if (filter && !filter(part, parameter.spec, parameter.layer)) continue;
      values.resize(std::size_t(parameter.spec.count()));
      read_floats(tensor, values);
      sink(part, parameter.spec, parameter.layer, values);
    }
}

// A value of train_state.json; all are whole numbers from 0, but the hash.
template <typename T>
T state_value(const Json& json, const char* key, const fs::path& file) {
  const auto it = json.is_object() ? json.find(key) : json.end();
  const bool there = json.is_object() && it != json.end();
  if constexpr (std::is_same_v<T, std::string>) {
    if (there && it->is_string()) return it->get<T>();
  } else {
    constexpr auto kMost = std::uint64_t(std::numeric_limits<T>::max());
    if (there && it->is_number_unsigned() && it->get<std::uint64_t>() <= kMost) return it->get<T>();
  }
  throw InputError(fmt::format("no usable '{}'", key))
      .at(file.string())
      .found(there ? it->dump() : "none")
      .wanted(std::is_same_v<T, std::string> ? "a string" : "a whole number from 0");
}

}  // namespace

std::string checkpoint_name(std::int64_t step) { return fmt::format("{}{:08}", kStepPrefix, step); }

std::optional<std::int64_t> checkpoint_step(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kStepPrefix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (error != std::errc() || step < 0 || checkpoint_name(step) != name) return std::nullopt;
  return step;
}

SafetensorsSpec optimizer_tensor(StatePart part, const ParameterInstance& parameter) {
  SafetensorsSpec spec{(part == StatePart::m ? "m." : "v.") + parameter.name(), DType::f32, {}};
  for (const Dim& dim : parameter.spec.dims) spec.shape.push_back(dim.extent);
  return spec;
}

void verify_checkpoint(const fs::path& path) {
  const auto step = checkpoint_step(path.filename().string());
  if (!step)
    throw InputError("not a checkpoint's folder")
        .at(path.string())
        .wanted("a name 'step_00000100'");
  verify_manifest(path, *step);
}

namespace {

// The newest first.
std::vector<std::int64_t> steps_in(const fs::path& folder) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (const auto step = checkpoint_step(it->path().filename().string())) steps.push_back(*step);
  if (error && error != std::errc::no_such_file_or_directory)
    throw InputError("cannot read the checkpoints' folder")
        .at(folder.string())
        .found(error.message());
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

}  // namespace

FoundCheckpoint find_checkpoint(const fs::path& folder,
                                const std::function<bool(std::int64_t)>& wanted) {
  FoundCheckpoint found;
  for (const std::int64_t step : steps_in(folder)) {
    if (wanted && !wanted(step)) continue;
    const fs::path path = folder / checkpoint_name(step);
    try {
      verify_checkpoint(path);
      found.path = path;
      return found;
    } catch (const Error& e) {
      found.skipped.push_back({path, e.what()});
    }
  }
  return found;
}

TrainState read_train_state(const fs::path& path) {
  const fs::path file = path / "train_state.json";
  const Json json = read_json(file);
  TrainState state;
  state.step = state_value<std::int64_t>(json, "step", file);
  state.samples = state_value<std::int64_t>(json, "samples", file);
  state.tokens = state_value<std::int64_t>(json, "tokens", file);
  state.seed = state_value<std::uint64_t>(json, "seed", file);
  state.lanes = state_value<std::int64_t>(json, "lanes", file);
  state.recipe_hash = state_value<std::string>(json, "recipe_hash", file);
  if (!json.contains("data")) throw InputError("no usable 'data'").at(file.string()).found("none");
  state.data = data_state(json["data"], file.string());
  if (!json.contains("history"))
    throw InputError("no usable 'history'").at(file.string()).found("none");
  state.history = step_history(json["history"], file.string());
  return state;
}

std::optional<TrainState> newest_train_state(const fs::path& folder) {
  for (const std::int64_t step : steps_in(folder)) try {
      return read_train_state(folder / checkpoint_name(step));
    } catch (const Error&) {  // damaged; find_checkpoint says so
    }
  return std::nullopt;
}

TrainState load_checkpoint(const fs::path& path, const ModelConfig& config, const StateSink& sink,
                           const StateFilter& wanted) {
  check_model(path, config);
  const TrainState state = read_train_state(path);
  load_weights(
      SafetensorsReader(path), config,
      [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
        sink(StatePart::weight, spec, layer, values);
      },
      [&](const ParameterSpec& spec, std::int64_t layer) {
        return !wanted || wanted(StatePart::weight, spec, layer);
      });
  load_optimizer(path, config, sink, wanted);
  return state;
}

}  // namespace autarky
