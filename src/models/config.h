// What a dense decoder is: one struct for the families gpt2, llama and qwen2, read from and written
// to Hugging Face's config.json.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/json.h"
#include "models/rope.h"

namespace autarky {

enum class Family : std::uint8_t { gpt2, llama, qwen2 };
inline constexpr std::string_view kFamilyNames[] = {"gpt2", "llama", "qwen2"};  // model_type
constexpr std::string_view family_name(Family f) {
  return kFamilyNames[static_cast<std::size_t>(f)];
}

enum class NormKind : std::uint8_t { rms, layer };
enum class Activation : std::uint8_t {
  silu_gate,  // down(silu(gate x) * up x)
  gelu_tanh,  // down(gelu(up x)), the tanh form
};
enum class PositionKind : std::uint8_t { rope, learned };

// Dims: l layers, e hidden, g kv_heads, r heads/kv_heads, d head_dim, f ffn, v vocab, p positions.
struct ModelConfig {
  Family family = Family::llama;
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;
  std::int64_t max_positions = 0;

  NormKind norm = NormKind::rms;
  double norm_eps = 1e-6;
  Activation activation = Activation::silu_gate;
  PositionKind position = PositionKind::rope;
  RopeConfig rope;  // position == rope only

  bool qkv_bias = false;          // of the query, key and value projections
  bool attn_output_bias = false;  // of the attention's output projection
  bool ffn_input_bias = false;    // of gate and up
  bool ffn_output_bias = false;   // of down
  bool tied_embeddings = false;   // the head is the embedding, transposed

  double initializer_range = 0.02;
  std::int64_t bos_id = -1;           // -1: none
  std::vector<std::int64_t> eos_ids;  // generation ends at any of them

  // What was accepted but is done otherwise than the file says, for the user.
  std::vector<std::string> notes;

  bool operator==(const ModelConfig&) const = default;
};

// Throws InputError, with key, found and wanted, for values that make no model: not positive, not
// divisible, beyond any machine. `where` is the file or the preset's name.
void validate(const ModelConfig& config, std::string_view where);

// From the content of a config.json; validated. An unknown model_type or a feature that would
// change the numbers (sliding windows, partial rotary, quantised weights, ...) is an InputError.
ModelConfig parse_config(const Json& json, std::string_view where);

// A config.json that transformers loads; `dtype` is that of the weights beside it. InputError if
// the family has no keys for this combination of biases.
Json to_config_json(const ModelConfig& config, DType dtype = DType::f32);

}  // namespace autarky
