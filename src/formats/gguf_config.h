// A model's configuration from and to the metadata of a GGUF file: the keys that llama.cpp reads
// for the architectures llama (Llama and Mistral), qwen2, qwen3 and gpt2. The way goes through
// Hugging Face's config.json, so what a family may be is said in models/config.cpp alone.
#pragma once
#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "models/config.h"

namespace autarky {

// InputError, naming the key, for an architecture that is not known, a key that is missing, and one
// that is not known: ignoring it could silently compute another model than the file's.
ModelConfig gguf_model_config(const GgufReader& file);

// Keys of architecture and model; not those of the tokenizer, which hold the ids of the tokens that
// begin and end a text. InputError for a model that these keys cannot say.
GgufMetadata gguf_model_metadata(const ModelConfig& config);

// Divisors of the rotary frequencies, which llama.cpp wants as tensor "rope_freqs.weight"
// [head_dim/2] for Llama 3.1's scaling; none for other models.
std::vector<float> gguf_rope_divisors(const ModelConfig& config);

}  // namespace autarky
