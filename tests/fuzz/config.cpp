// config.json: the model that it says, its parameters and FLOPs, and itself written again.
#include "models/config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/gguf_config.h"
#include "formats/model_files.h"
#include "fuzz/fuzz.h"
#include "models/flops.h"
#include "models/parameters.h"

using namespace autarky;

namespace {

constexpr double kMostParameters = 4e15;  // the limit of matrices, and as many biases

void count(const ModelConfig& config) {
  double all = 0;
  for (const ParameterSpec& spec : parameters(config)) {
    double elements = 1;
    for (const Dim& dim : spec.dims) elements *= double(dim.extent);
    AUTARKY_CHECK(double(spec.count()) == elements, "a parameter's size does not overflow");
    all += elements * (spec.block == ParameterBlock::layer ? double(config.layers) : 1);
  }
  AUTARKY_CHECK(all < kMostParameters, "no model beyond any machine");
  AUTARKY_CHECK(double(parameter_count(config)) == all, "the sum of all does not overflow");
  tensor_maps(config);
  const double flops = model_flops_per_token(config, config.max_positions);
  AUTARKY_CHECK(std::isfinite(flops) && flops > 0, "a model needs work");
}

void turn(const ModelConfig& config) {
  if (config.position != PositionKind::rope || config.head_dim < 4) return;
  for (const double w : rope_inv_freq(config.rope, config.head_dim, config.max_positions))
    AUTARKY_CHECK(std::isfinite(w), "frequencies are numbers");
  AUTARKY_CHECK(std::isfinite(rope_attention_factor(config.rope)), "a factor is a number");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz_folder().write("config.json", as_text(data, size));
  ModelConfig config;
  if (!accepted([&] { config = read_model_config(fuzz_folder().path()); })) return 0;
  count(config);
  turn(config);
  accepted([&] {
    gguf_model_metadata(config);
    gguf_rope_divisors(config);
  });
  Json json;
  if (!accepted([&] { json = to_config_json(config); })) return 0;
  ModelConfig again = parse_config(Json::parse(json.dump()), "written");
  again.notes = config.notes;
  AUTARKY_CHECK(again == config, "a written configuration reads back as the same");
  return 0;
}
