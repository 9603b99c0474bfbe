// From tokens as a file writes them back to bytes: the decoders.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/tokenizer_steps.h"

namespace autarky {

// Immutable and thread-safe. Up to Fuse a step sees each token for itself, after it the whole text;
// tokens of ByteFallback become their byte at once, so bytes that are not UTF-8 come back too.
class Decoder {
 public:
  // Throws InputError, naming `where`, for too many steps or a pattern that does not compile.
  Decoder(const std::vector<DecoderStep>& steps, std::string_view where);

  // InputError, here and in finish(), for what grows beyond most_replaced().
  // A token's bytes; the first of a text may lose its leading space.
  std::string token(std::string_view text, bool is_first) const;
  bool first_differs() const { return first_differs_; }
  // What happens to all tokens' bytes together.
  std::string finish(std::string text) const;

 private:
  using Step = std::variant<ByteLevel, Replacer, ByteFallback, StripEnds, Metaspace>;
  std::vector<Step> each_, whole_;
  bool first_differs_ = false;
};

}  // namespace autarky
