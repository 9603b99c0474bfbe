// Everything that a tokenizer folder says, as plain data: tokenizer.json and tokenizer_config.json
// (Hugging Face tokenizers 0.13 to 0.23), byte-level BPE only.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "text/added_tokens.h"
#include "text/splitter.h"

namespace autarky {

struct TokenizerSpec {
  static constexpr std::int32_t kMaxVocab = 1 << 21;  // ids are below

  std::vector<std::string> vocab;  // by id, in the byte-level alphabet; "" where there is no token
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;  // ids, by rank
  std::vector<AddedToken> added;
  std::vector<SplitStep> steps;  // empty: the text is one piece
  bool gpt2_split = false;       // steps are GPT-2's pattern alone, written as ByteLevel
  bool add_prefix_space = false;
  bool normalize_nfc = false;
  bool ignore_merges = false;
  std::vector<std::string> prefix, suffix;  // added tokens that add_special puts around a text

  std::string bos_token, eos_token, pad_token, chat_template;  // "": none
};

// Reads dir/tokenizer.json and, if it is there, dir/tokenizer_config.json. Throws InputError that
// names the key for what is wrong or not supported.
TokenizerSpec read_tokenizer_spec(const fs::path& dir);

// Writes both files; makes the folder.
void write_tokenizer_spec(const TokenizerSpec& spec, const fs::path& dir);

}  // namespace autarky
