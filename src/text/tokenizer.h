// Tokenizers: text to token ids and back; BPE over bytes or over characters, or SentencePiece.
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

  // Reads a folder in the format of Hugging Face (read_tokenizer_spec), or a .model file.
  static Tokenizer load(const fs::path& path);
  // The file of a folder that load reads the vocabulary from; `path` itself where it is a file.
  static fs::path file_in(const fs::path& path);
  // Writes such a folder; transformers loads it (PreTrainedTokenizerFast) and gives the same ids.
  void save(const fs::path& dir) const;

  // Ids of any bytes. allow_special: special tokens written in the text become their ids, else
  // they are plain text. add_special: puts around it what the file's template says (bos, eos).
  std::vector<std::int32_t> encode(std::string_view text, bool allow_special = true,
                                   bool add_special = false) const;
  // The bytes of the ids; decode(encode(text)) == text unless the tokenizer normalises, replaces or
  // leaves out. Throws InputError for an id outside [0, vocab_size()).
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  std::int32_t vocab_size() const;  // greatest id + 1
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;
  std::optional<std::int32_t> pad_id() const;
  // What a token adds to a text, "" for an id that has none.
  std::string_view bytes(std::int32_t id) const;
  bool is_special(std::int32_t id) const;
  // The id of an added token's content, or of the token that stands for this in a text.
  std::optional<std::int32_t> id_of(std::string_view token) const;
  const std::string& chat_template() const;  // Jinja text, "" when there is none
  const TokenizerSpec& spec() const;

 private:
  struct State;
  class Encoding;
  std::unique_ptr<const State> state_;
};

}  // namespace autarky
