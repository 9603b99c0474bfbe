// Documents laid end to end and cut into windows.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/shuffle.h"
#include "formats/megatron_index.h"

namespace autarky {

// What a model is fed for one window of s tokens; all [s], i32.
struct SampleRow {
  std::span<std::int32_t> tokens;
  std::span<std::int32_t>
      targets;  // the next token; -1 at the last token of a document, and padding
  std::span<std::int32_t> positions;  // from 0 at the window's start and at each document's start
  std::span<std::int32_t> segments;   // 0, 1, 2, ...: number of the document within the window
};

// The documents of a dataset end to end, in an order; keeps 8 bytes a document.
class PackedDocuments {
 public:
  // `order` says which document stands k-th; none: as in the file. `vocab_size` is the model's.
  PackedDocuments(const MegatronDataset& data, std::optional<KeyedPermutation> order,
                  std::int64_t vocab_size);

  std::int64_t token_count() const { return starts_.back(); }

  // Fills the window that starts at a token, 0 <= start; what lies beyond the last token is
  // padding: token 0, target -1, a segment of its own. Returns the number of targets that are not
  // -1. InputError for a token id outside the vocabulary.
  std::int64_t read(std::int64_t start, SampleRow row) const;

 private:
  std::int64_t document(std::int64_t k) const { return order_ ? (*order_)(k) : k; }
  // Fills the front of the row with one document's tokens from `offset` on; returns how many.
  std::int64_t read_piece(std::int64_t document, std::int64_t offset, SampleRow row) const;
  void check_tokens(std::span<const std::int32_t> tokens, std::int64_t document) const;

  const MegatronDataset& data_;
  std::optional<KeyedPermutation> order_;
  std::int64_t vocab_size_;
  std::vector<std::int64_t> starts_;  // [documents + 1] first token of the k-th document
};

}  // namespace autarky
