// The steps of tokenizer.json between text and merges, and back, as plain data. Names and meaning
// are those of the file's keys; each list is applied in order.
#pragma once
#include <string>
#include <variant>

namespace autarky {

struct TextPattern {
  std::string text;      // PCRE2 syntax
  bool literal = false;  // a plain string
  bool operator==(const TextPattern&) const = default;
};

struct Replace {  // every match by content; normalizer and decoder
  TextPattern pattern;
  std::string content;
  bool operator==(const Replace&) const = default;
};

// Normalizers.
enum class NormalForm { nfc, nfd, nfkc, nfkd };
struct Prepend {  // in front of a text that is not empty
  std::string text;
  bool operator==(const Prepend&) const = default;
};
struct StripSpaces {
  bool left = true, right = true;
  bool operator==(const StripSpaces&) const = default;
};
using NormalizerStep = std::variant<NormalForm, Prepend, Replace, StripSpaces>;

// Pre-tokenizers: each cuts the pieces of the one before.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
enum class PrependScheme { first, never, always };
struct Split {
  TextPattern pattern;
  SplitBehavior behavior = SplitBehavior::isolated;  // what becomes of a match
  bool invert = false;                               // what lies between matches is the match
  bool operator==(const Split&) const = default;
};
struct Digits {
  bool individual = false;
  bool operator==(const Digits&) const = default;
};
struct Punctuation {
  SplitBehavior behavior = SplitBehavior::isolated;
  bool operator==(const Punctuation&) const = default;
};
struct Metaspace {  // pre-tokenizer and decoder
  std::string replacement = "\xe2\x96\x81";
  PrependScheme scheme = PrependScheme::always;
  bool split = true;
  bool operator==(const Metaspace&) const = default;
};
struct ByteLevel {  // pre-tokenizer and decoder
  bool add_prefix_space = false;
  bool use_regex = true;  // GPT-2's pattern
  bool operator==(const ByteLevel&) const = default;
};
using PreTokenizerStep = std::variant<Split, Digits, Punctuation, Metaspace, ByteLevel>;

// Decoders.
struct ByteFallback {
  bool operator==(const ByteFallback&) const = default;
};
struct Fuse {  // all tokens become one text
  bool operator==(const Fuse&) const = default;
};
struct StripEnds {
  std::string content;  // one character
  int start = 0, stop = 0;
  bool operator==(const StripEnds&) const = default;
};
using DecoderStep = std::variant<ByteLevel, Replace, ByteFallback, Fuse, StripEnds, Metaspace>;

// InputError, at `where`, for more steps of a kind than any tokenizer has.
void check_step_count(std::size_t count, std::string_view where);

}  // namespace autarky
