// What a dense decoder is: one struct for all families, read from and written to Hugging Face's
// config.json.
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

// telechat: TeleChat and TeleChat2, the dense ones.
enum class Family : std::uint8_t { gpt2, llama, mistral, qwen2, qwen3, telechat };
inline constexpr std::string_view kFamilyNames[] = {"gpt2",  "llama", "mistral",
                                                    "qwen2", "qwen3", "telechat"};  // model_type
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
  RopeConfig rope;          // position == rope only
  std::int64_t window = 0;  // a token sees so many, itself one of them; 0: all before it
  bool qk_norm = false;     // RMS norm of each head's queries and keys, before they turn

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
// change the numbers (windows in some layers only, partial rotary, ...) is an InputError. Keys that
// are not there mean what transformers takes them to mean.
ModelConfig parse_config(const Json& json, std::string_view where);

// A config.json that transformers (for telechat: the code beside its checkpoints) loads; `dtype` is
// that of the weights beside it. InputError if the family has no keys for such a model.
Json to_config_json(const ModelConfig& config, DType dtype = DType::f32);

}  // namespace autarky
