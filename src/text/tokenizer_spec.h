// Everything that a tokenizer folder says, as plain data: tokenizer.json and tokenizer_config.json
// (Hugging Face tokenizers 0.13 to 0.23), BPE only, or a SentencePiece model.
// docs/formats/tokenizer.md says what of them is supported.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "text/added_tokens.h"
#include "text/tokenizer_steps.h"

namespace autarky {

struct TokenizerSpec {
  static constexpr std::int32_t kMaxVocab = 1 << 21;  // ids are below

  std::vector<std::string> vocab;  // by id, as the file writes tokens; "" where there is none
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;  // ids, by rank
  std::vector<AddedToken> added;
  bool byte_fallback = false;  // characters without a token are written as tokens <0x00> to <0xFF>
  bool fuse_unk = false;       // one unk_token for neighbours, else one each
  bool ignore_merges = false;
  std::string unk_token;  // "": what has no token is left out

  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;  // with ByteLevel at the end tokens are bytes
  std::vector<DecoderStep> decoder;
  std::vector<std::string> prefix, suffix;  // tokens that add_special puts around a text

  std::string sentencepiece;  // a .model file's bytes; then all above but prefix, suffix is unused

  std::string bos_token, eos_token, pad_token, chat_template;  // "": none

  bool byte_level() const;  // tokens are written in the byte-level alphabet
};

// Reads dir/tokenizer.json, else dir/tokenizer.model, and, if it is there,
// dir/tokenizer_config.json; or `path` itself, a .model file. Throws InputError that names the key
// for what is wrong or not supported.
TokenizerSpec read_tokenizer_spec(const fs::path& path);

// Writes such files; makes the folder.
void write_tokenizer_spec(const TokenizerSpec& spec, const fs::path& dir);

}  // namespace autarky
