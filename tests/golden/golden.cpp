#include "golden/golden.h"

#include "formats/weights.h"
#include "models/decoder.h"

namespace autarky {
namespace {

Weights read_weights(const fs::path& file, const ModelConfig& config) {
  Weights weights;
  load_weights(SafetensorsReader(file), config,
               [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
                 weights[buffer_name(spec, layer)].assign(values.begin(), values.end());
               });
  return weights;
}

}  // namespace

Golden read_golden(const std::string& name) {
  const fs::path folder = fs::path(AUTARKY_SOURCE_DIR) / "tests" / "golden" / "models" / name;
  Golden g;
  g.config = parse_config(read_json(folder / "config.json"), "config.json");
  g.initial = read_weights(folder / "model.safetensors", g.config);
  g.gradients = read_weights(folder / "gradients.safetensors", g.config);
  g.final = read_weights(folder / "final.safetensors", g.config);
  const SafetensorsReader logits(folder / "logits.safetensors");
  g.logits.resize(std::size_t(kRows * kSeq * g.config.vocab));
  read_floats(logits.tensor("logits"), g.logits);
  g.run = read_json(folder / "run.json");
  return g;
}

}  // namespace autarky
