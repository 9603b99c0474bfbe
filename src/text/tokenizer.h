// Byte-level BPE tokenizers: text to token ids and back, byte for byte.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "text/tokenizer_spec.h"

namespace autarky {

// Immutable: all members may be called from any number of threads.
class Tokenizer {
 public:
  // Throws InputError, naming `where` and the key, when the parts do not fit together.
  explicit Tokenizer(TokenizerSpec spec, std::string_view where = "tokenizer");
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Reads a folder in the format of Hugging Face: tokenizer.json, tokenizer_config.json.
  static Tokenizer load(const fs::path& dir);
  // Writes such a folder; transformers loads it (PreTrainedTokenizerFast) and gives the same ids.
  void save(const fs::path& dir) const;

  // Ids of any bytes. allow_special: special tokens written in the text become their ids, else
  // they are plain text. add_special: puts around it what the file's template says (bos, eos).
  std::vector<std::int32_t> encode(std::string_view text, bool allow_special = true,
                                   bool add_special = false) const;
  // The bytes of the ids; decode(encode(text)) == text unless the tokenizer normalises (NFC) or
  // adds a space in front. Throws InputError for an id outside [0, vocab_size()).
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  std::int32_t vocab_size() const;  // greatest id + 1
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;
  std::optional<std::int32_t> pad_id() const;
  std::string_view bytes(std::int32_t id) const;  // "" for an id that has no token
  bool is_special(std::int32_t id) const;
  // The id of an added token's content, or of the token with these bytes.
  std::optional<std::int32_t> id_of(std::string_view token) const;
  const std::string& chat_template() const;  // Jinja text, "" when there is none
  const TokenizerSpec& spec() const;

 private:
  struct State;
  class Encoding;
  std::unique_ptr<const State> state_;
};

}  // namespace autarky
