// What is in a token file: what `autarky data inspect` shows.
#pragma once
#include <cstdint>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"

namespace autarky {

struct ShardReport {
  DType dtype = DType::u16;
  std::int64_t documents = 0, sequences = 0, tokens = 0;
  std::int64_t bytes = 0;                                    // of .bin and .idx
  std::int64_t shortest_document = 0, longest_document = 0;  // tokens
  double mean_document = 0;                                  // tokens
  std::int32_t min_token = 0, max_token = 0;                 // ids; 0 if there are no tokens
  std::vector<std::vector<std::int32_t>> first_documents;    // their tokens
};

// Reads every token of PREFIX.bin. `first` documents are returned, each cut at `tokens_each`.
ShardReport inspect_shards(const fs::path& prefix, std::int64_t first, std::int64_t tokens_each);

}  // namespace autarky
