// Cutting text into the pieces that byte pair encoding may not merge across: the pre-tokenizers.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_steps.h"

namespace autarky {

// Immutable and thread-safe. The steps are applied in order, each to the pieces of the one before.
class Splitter {
 public:
  // Throws InputError, naming `where`, for a pattern that does not compile.
  Splitter(const std::vector<PreTokenizerStep>& steps, std::string_view where);
  ~Splitter();
  Splitter(Splitter&&) noexcept;
  Splitter& operator=(Splitter&&) noexcept;

  using Piece = std::function<void(std::string_view)>;

  // Calls piece() for every piece in order, valid during the call; together they are `text` but for
  // what steps put in front, replace or remove. Steps run over maximal stretches of valid UTF-8; a
  // byte that is not part of one is a piece of its own, and nothing is put behind it.
  // is_first: the text begins where the whole text does (PrependScheme::first).
  void split(std::string_view text, bool is_first, const Piece& piece) const;

 private:
  struct Stage;
  class Run;
  std::vector<Stage> stages_;
};

}  // namespace autarky
