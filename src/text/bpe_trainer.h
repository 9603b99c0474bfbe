// Training of byte-level BPE: the most frequent pair of adjacent tokens within the pieces of the
// split pattern is merged, again and again (Sennrich et al., "Neural machine translation of rare
// words with subword units", ACL 2016, on bytes).
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "text/tokenizer.h"

namespace autarky {

struct BpeTrainerOptions {
  std::int32_t vocab_size = 8192;  // with the 256 bytes and the special tokens
  std::string pattern = "gpt2";    // a name of split_pattern()
  bool normalize_nfc = false;
  std::vector<std::string> special_tokens = {"<|endoftext|>"};  // ids behind the merges
  std::string bos_token, eos_token = "<|endoftext|>";           // "" or one of special_tokens
  std::uint64_t min_frequency = 2;                              // of a pair that is merged
  // Called now and then with merges done and wanted.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

struct BpeTraining {
  Tokenizer tokenizer;  // smaller than asked for when no pair was frequent enough any more
  std::uint64_t bytes = 0, words = 0, distinct_words = 0;
};

// Gives the next document, valid until the next call; false at the end.
using DocumentSource = std::function<bool(std::string_view& document)>;

// Ids: 0 to 255 are the bytes in the order of byte_level_order(), then merges, then special tokens.
// Of pairs that are equally frequent the one with the smaller (left id, right id) is merged first,
// so the result is the same for any number of threads and any order of documents.
// Throws InputError for options that do not fit together.
BpeTraining train_bpe(const DocumentSource& next, const BpeTrainerOptions& options);

// Each file is one document.
BpeTraining train_bpe_files(const std::vector<fs::path>& files, const BpeTrainerOptions& options);

}  // namespace autarky
