// A tokenizer from and to the metadata of a GGUF file (keys tokenizer.ggml.*), of the two kinds
// that our families use:
//   gpt2    byte-level BPE: tokens, merges, and the name of a split pattern (`pre`), one of
//           gpt-2, smollm, llama-bpe, qwen2
//   llama   SentencePiece's BPE with byte fallback: tokens with scores, of which the highest is
//           merged first; merges are all pairs that give a token, by its score. Written from
//           tokenizer.json or from a .model
#pragma once
#include <optional>

#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "models/config.h"
#include "text/tokenizer_spec.h"

namespace autarky {

// Nothing where the file has no tokenizer. InputError, naming the key, for one that is not
// supported or does not hold together.
std::optional<TokenizerSpec> gguf_tokenizer(const GgufReader& file);

// Keys of the tokenizer, as many tokens as the model's vocabulary; without a tokenizer (nullptr)
// only the ids that begin and end a text. InputError for a tokenizer that the keys cannot say.
GgufMetadata gguf_tokenizer_metadata(const TokenizerSpec* spec, const ModelConfig& config);

}  // namespace autarky
