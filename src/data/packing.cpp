#include "data/packing.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace autarky {
namespace {

SampleRow from(SampleRow row, std::int64_t first) {
  const auto n = std::size_t(first);
  return {row.tokens.subspan(n), row.targets.subspan(n), row.positions.subspan(n),
          row.segments.subspan(n)};
}

void label(SampleRow row, std::int64_t length, std::int32_t segment) {
  const auto positions = row.positions.first(std::size_t(length));
  const auto segments = row.segments.first(std::size_t(length));
  std::iota(positions.begin(), positions.end(), 0);
  std::fill(segments.begin(), segments.end(), segment);
}

void pad(SampleRow row, std::int32_t segment) {
  std::fill(row.tokens.begin(), row.tokens.end(), 0);
  std::fill(row.targets.begin(), row.targets.end(), -1);
  label(row, std::int64_t(row.tokens.size()), segment);
}

}  // namespace

PackedDocuments::PackedDocuments(const MegatronDataset& data, std::optional<KeyedPermutation> order,
                                 std::int64_t vocab_size)
    : data_(data), order_(std::move(order)), vocab_size_(vocab_size) {
  starts_.reserve(std::size_t(data.document_count()) + 1);
  starts_.push_back(0);
  for (std::int64_t k = 0; k < data.document_count(); ++k)
    starts_.push_back(starts_.back() + data.document_size(document(k)));
}

std::int64_t PackedDocuments::read(std::int64_t start, SampleRow row) const {
  const auto length = std::int64_t(row.tokens.size());
  auto k =
      std::int64_t(std::upper_bound(starts_.begin(), starts_.end(), start) - starts_.begin()) - 1;
  std::int64_t filled = 0;
  std::int32_t segment = 0;
  for (; filled < length && k < data_.document_count(); ++k) {
    const std::int64_t offset = start + filled - starts_[std::size_t(k)];
    const auto taken = read_piece(document(k), offset, from(row, filled));
    if (taken == 0) continue;  // an empty document
    label(from(row, filled), taken, segment++);
    filled += taken;
  }
  pad(from(row, filled), segment);
  return std::count_if(row.targets.begin(), row.targets.end(), [](auto t) { return t >= 0; });
}

std::int64_t PackedDocuments::read_piece(std::int64_t document, std::int64_t offset,
                                         SampleRow row) const {
  const auto left = data_.document_size(document) - offset;
  const auto taken = std::min(left, std::int64_t(row.tokens.size()));
  if (taken == 0) return 0;
  const auto tokens = row.tokens.first(std::size_t(taken));
  data_.read_document(document, offset, tokens);
  check_tokens(tokens, document);
  const auto targets = row.targets.first(std::size_t(taken));
  std::copy(tokens.begin() + 1, tokens.end(), targets.begin());
  targets.back() = -1;
  if (taken < left) {  // the row ends within the document: its next token is still a target
    data_.read_document(document, offset + taken, targets.last(1));
    check_tokens(targets.last(1), document);
  }
  return taken;
}

void PackedDocuments::check_tokens(std::span<const std::int32_t> tokens,
                                   std::int64_t document) const {
  for (const auto token : tokens)
    if (token < 0 || token >= vocab_size_)
      throw InputError(
          fmt::format("document {} has a token outside the model's vocabulary", document))
          .at(data_.prefix().string())
          .found(fmt::format("id {}", token))
          .wanted(fmt::format("0 to {}", vocab_size_ - 1))
          .hint("Build the data with the tokenizer of this model, or set the model's vocab_size");
}

}  // namespace autarky
