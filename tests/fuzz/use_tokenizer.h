// What a tokenizer out of a hostile file must be able to do.
#pragma once
#include "base/error.h"
#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

namespace autarky {

// Encodes and decodes; saved and read again it gives the same ids.
inline void use_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, true, true);
  for (const auto id : ids)
    AUTARKY_CHECK(id >= 0 && id < tokenizer.vocab_size(), "ids are in the vocabulary");
  tokenizer.decode(ids);
  tokenizer.decode(tokenizer.encode(text, false), true);
  const fs::path saved = fuzz_folder().path() / "saved";
  tokenizer.save(saved);
  std::vector<std::int32_t> again;
  const bool read = accepted([&] { again = Tokenizer::load(saved).encode(text, true, true); });
  AUTARKY_CHECK(read && again == ids, "a saved tokenizer gives the same ids");
}

}  // namespace autarky
