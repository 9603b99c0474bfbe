#include "data/dataset.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::uint32_t kDocumentOrder = 0, kWindowOrder = 1;

}  // namespace

void check_sources(std::span<const WeightedPrefix> prefixes, const SampleOptions& options) {
  if (prefixes.empty())
    throw InputError("no data").hint("List at least one prefix, as data build wrote it");
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (options.seq_length < 1 || options.seq_length > kMost)
    throw InputError("sequence length")
        .found(std::to_string(options.seq_length))
        .wanted(fmt::format("1 to {}", kMost));
  AUTARKY_CHECK(options.vocab_size > 0, "the model has a vocabulary");
}

void Batch::resize(std::int64_t b, std::int64_t s) {
  for (auto* part : {&tokens, &targets, &positions, &segments}) part->resize(std::size_t(b * s));
}

SampleRow Batch::row(std::int64_t i, std::int64_t s) {
  const auto cut = [&](std::vector<std::int32_t>& part) {
    return std::span(part).subspan(std::size_t(i * s), std::size_t(s));
  };
  return {cut(tokens), cut(targets), cut(positions), cut(segments)};
}

TrainingSource::TrainingSource(const fs::path& prefix, const SampleOptions& options,
                               std::uint32_t stream)
    : data_(std::make_unique<MegatronDataset>(prefix)), options_(options), stream_(stream) {
  const std::int64_t s = options.seq_length;
  windows_ = (token_count() - 1) / s;
  if (token_count() < s + 1)
    throw InputError("the data is shorter than one sample")
        .at(prefix.string())
        .found(fmt::format("{} tokens", token_count()))
        .wanted(fmt::format("{} or more (the sequence length and one)", s + 1))
        .hint("Set a smaller train.seq_length or build from more text");
}

void TrainingSource::start_epoch(std::int64_t epoch) {
  const auto key = std::uint32_t(epoch);
  packed_.emplace(
      *data_,
      KeyedPermutation(data_->document_count(), options_.seed, key, 2 * stream_ + kDocumentOrder),
      options_.vocab_size);
  visits_.emplace(windows_, options_.seed, key, 2 * stream_ + kWindowOrder);
  epoch_ = epoch;
}

std::int64_t TrainingSource::read(std::int64_t n, SampleRow row) {
  if (n / windows_ != epoch_) start_epoch(n / windows_);
  return packed_->read((*visits_)(n % windows_) * options_.seq_length, row);
}

ValidationSet::ValidationSet(std::span<const WeightedPrefix> prefixes, const SampleOptions& options)
    : seq_length_(options.seq_length) {
  check_sources(prefixes, options);
  for (const auto& [prefix, weight] : prefixes) {
    auto data = std::make_unique<MegatronDataset>(prefix);
    if (data->token_count() < 2)
      throw InputError("no token to predict")
          .at(prefix.string())
          .found(fmt::format("{} tokens", data->token_count()))
          .wanted("2 or more");
    PackedDocuments packed(*data, {}, options.vocab_size);
    // The last token predicts nothing.
    const auto windows = (data->token_count() - 2) / seq_length_ + 1;
    sample_count_ += windows;
    sources_.push_back({std::move(data), std::move(packed), windows});
  }
}

void ValidationSet::read(std::int64_t first, std::int64_t count, Batch& batch) const {
  AUTARKY_CHECK(first >= 0 && count >= 0, "sample numbers");
  batch.resize(count, seq_length_);
  batch.target_count = 0;
  for (std::int64_t i = 0; i < count; ++i)
    batch.target_count += read_row(first + i, batch.row(i, seq_length_));
}

std::int64_t ValidationSet::read_row(std::int64_t sample, SampleRow row) const {
  for (const auto& source : sources_) {
    if (sample < source.windows) return source.packed.read(sample * seq_length_, row);
    sample -= source.windows;
  }
  const auto& last = sources_.back().packed;
  return last.read(last.token_count(), row);  // padding alone
}

}  // namespace autarky
