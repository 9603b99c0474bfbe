// From text files to token files: what `autarky data build` does.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "data/documents.h"

namespace autarky {

// What building needs of a tokenizer. `encode` is called from several threads at once.
struct TextEncoder {
  std::function<std::vector<std::int32_t>(std::string_view)> encode;
  std::int64_t vocab_size = 0;
  std::optional<std::int32_t> eos_id;
  std::string hash;  // identifies the tokenizer; written to the .json
};

struct BuildOptions {
  fs::path out_prefix;
  double validation_fraction = 0;  // of the documents; 0 <= fraction < 1
  std::uint64_t seed = 0;          // of the split
  bool add_eos = true;             // after each document
  TextOptions text = {};
};

struct SplitCounts {
  fs::path prefix;
  std::int64_t documents = 0, tokens = 0, bytes = 0;  // bytes of text
};

struct BuildCounts {
  SplitCounts train;
  std::optional<SplitCounts> validation;
  std::int64_t invalid_documents = 0;  // with bytes that are not UTF-8, kept or replaced
};

// Whether a document belongs to validation. It depends on its text and the seed alone, so equal
// documents always fall on the same side, however the input is ordered or extended.
bool in_validation(std::string_view document, double fraction, std::uint64_t seed);

// Writes documents in the order of the input:
//   fraction = 0  PREFIX.bin/.idx
//   fraction > 0  PREFIX_train.bin/.idx and PREFIX_validation.bin/.idx
//   always        PREFIX.json: counts of each split, vocabulary size, hash of the tokenizer
// Missing folders of PREFIX are made. Files take their names only when all of them are complete and
// synced: if reading, encoding or writing throws, none is left and older ones stay as they were.
// InputError also if one side of a split gets no document.
BuildCounts build_shards(std::span<const fs::path> inputs, const TextEncoder& encoder,
                         const BuildOptions& options, const ByteProgress& progress = {});

}  // namespace autarky
