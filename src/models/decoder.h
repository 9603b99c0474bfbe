// The one decoder of all families, as single-device code.
#pragma once
#include "ir/model.h"
#include "models/config.h"
#include "models/parameters.h"

namespace autarky {

struct DecoderShape {
  DType dtype =
      DType::f32;  // of products and activations; norms, biases and losses stay in f32 (f64)
  std::int64_t batch = 1;  // b: sequences of a micro-batch
  std::int64_t seq = 1;    // s: tokens of a sequence
};

// Ports: data "tokens", "positions", "segments", "targets" i32 [b s]; constant "rope_frequencies"
// [k]; parameters under their checkpoint names without the layer's prefix (port_name).
ModelGraphs build_decoder(const ModelConfig& config, const DecoderShape& shape);

// For decoding: `seq` new tokens with a key/value cache of `capacity` tokens. Further ports: caches
// "cache.k", "cache.v" [b t g d] of kind state; data "cache_positions", "cache_segments" [b t] and
// "cache_first" [n = 1], the row the first new token takes; the head gives "logits" [b n v] f32 of
// the row "last" [n = 1].
ModelGraphs build_cached_decoder(const ModelConfig& config, const DecoderShape& shape,
                                 std::int64_t capacity);

// "model.layers.{}.mlp.up_proj.weight" -> "mlp.up_proj.weight"; other names stay.
std::string port_name(const ParameterSpec& spec);
// The element type a parameter has in a program: matrices in the products' type, the others wider.
DType param_dtype(const ParameterSpec& spec, DType compute);
// The buffer of a parameter in a program: "layer.3.mlp.up_proj.weight".
std::string buffer_name(const ParameterSpec& spec, std::int64_t layer);

}  // namespace autarky
