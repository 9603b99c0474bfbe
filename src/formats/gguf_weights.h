// A model's weights from and to the tensors of a GGUF file, with llama.cpp's names:
//   token_embd position_embd output_norm output; for layer {}: blk.{}.attn_norm attn_q attn_k
//   attn_v attn_qkv attn_q_norm attn_k_norm attn_output ffn_norm ffn_gate ffn_up ffn_down; .weight,
//   .bias.
// Values lie as in Hugging Face's checkpoint, but for two things: GPT-2's matrices are transposed;
// and for architecture llama the rows of a query or key head, of which i and i + d/2 turn together,
// are stored in the order 0, d/2, 1, d/2 + 1, ...
#pragma once
#include <string>

#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "formats/weights.h"
#include "models/config.h"

namespace autarky {

// As load_weights of formats/weights.h: the same calls, checks and errors.
void load_gguf_weights(const GgufReader& file, const ModelConfig& config, const WeightSink& sink);

// Writes one file. Matrices get `type`; norms, biases and position embeddings F32, as llama.cpp
// wants them; matrices with rows that are no whole blocks F16. put() is called for every parameter
// in the order of load_weights. Memory: the values of one tensor.
class GgufWeightsWriter {
 public:
  GgufWeightsWriter(const fs::path& path, const ModelConfig& config, const GgufMetadata& tokenizer,
                    GgufType type);

  void put(const ParameterSpec& spec, std::int64_t layer, std::span<const float> values);
  void finish();

 private:
  void write_tensor(const TensorMap& map, std::int64_t layer, std::span<const float> values);

  ModelConfig config_;
  GgufWriter writer_;
  TensorJoiner joiner_;
};

}  // namespace autarky
