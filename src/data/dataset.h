// Samples for training (training_set.cpp) and validation out of token files.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/file.h"
#include "data/blend.h"
#include "data/data_state.h"
#include "data/packing.h"

namespace autarky {

// b samples of s tokens, row after row: [b s] each; see SampleRow for what they hold.
struct Batch {
  std::vector<std::int32_t> tokens, targets, positions, segments;
  std::int64_t target_count = 0;  // targets that are not -1

  void resize(std::int64_t b, std::int64_t s);
  SampleRow row(std::int64_t i, std::int64_t s);
};

struct WeightedPrefix {
  fs::path prefix;
  std::optional<double> weight;  // all or none; default: the number of its tokens
};

struct SampleOptions {
  std::int64_t seq_length = 0;  // s
  std::int64_t vocab_size = 0;  // of the model
  std::uint64_t seed = 0;
};

// InputError for no prefix at all or a sequence length that cannot be.
void check_sources(std::span<const WeightedPrefix> prefixes, const SampleOptions& options);

// One prefix, sample after sample. In each epoch the documents are laid end to end in a new random
// order and cut into windows of s tokens (each with the token after it as its last target), which
// are visited in random order. What is left of the last window is dropped.
class TrainingSource {
 public:
  // `stream` tells the sources of a blend apart. InputError if there are fewer than s + 1 tokens.
  TrainingSource(const fs::path& prefix, const SampleOptions& options, std::uint32_t stream);

  std::int64_t token_count() const { return data_->token_count(); }
  std::int64_t samples_per_epoch() const { return windows_; }
  // Sample n of the source, n >= 0; returns the number of targets. A new epoch costs one look at
  // each document's size.
  std::int64_t read(std::int64_t n, SampleRow row);

 private:
  void start_epoch(std::int64_t epoch);

  std::unique_ptr<MegatronDataset> data_;  // stays where it is: packed_ refers to it
  SampleOptions options_;
  std::uint32_t stream_;
  std::int64_t windows_ = 0, epoch_ = -1;
  std::optional<PackedDocuments> packed_;
  std::optional<KeyedPermutation> visits_;
};

// A blend of prefixes, which may change between two samples. A source gives its samples in their
// order, without a gap or a repeat, whatever blends it is in. So sample i is a function of the
// seed, the blends so far and i, and DataState is all that need be saved. Not for several threads
// at once; each may have its own (the files are mapped, not copied).
class TrainingSet {
 public:
  // Goes on from `state` if it has sources, with the blend that was in force.
  TrainingSet(std::span<const WeightedPrefix> prefixes, const SampleOptions& options,
              const DataState& state = {});

  // Opens the prefixes, to find what is wrong with them before they are needed. A source is known
  // by its prefix (the k-th of a list that names it k times), else by its content: token files may
  // be moved. InputError if the files of a known prefix hold something else now.
  void open(std::span<const WeightedPrefix> prefixes);
  // The blend from sample `first` on, which no read() has passed. True: it is another than before.
  bool change(std::int64_t first, std::span<const WeightedPrefix> prefixes);
  // Samples first, ..., first + count - 1 of the blend in force. Reuses the memory of `batch`.
  void read(std::int64_t first, std::int64_t count, Batch& batch);
  // After `next` samples, all of them taken.
  DataState state(std::int64_t next);

  std::int64_t token_count() const;  // of the blend in force, one epoch of each source

 private:
  struct Source {
    SourceState state;                   // what is taken is counted by counted()
    std::optional<TrainingSource> data;  // none: no blend of the recipe has it
  };
  std::vector<std::size_t> find(std::span<const WeightedPrefix> prefixes);
  std::size_t find_one(const std::string& prefix, const std::vector<std::size_t>& taken);
  void use(const std::vector<std::pair<std::size_t, double>>& parts);  // sources and weights
  SourceState counted(const Source& source, std::int64_t samples) const;

  SampleOptions options_;
  std::vector<Source> sources_;
  std::vector<std::size_t> active_;  // the blend's sources
  std::optional<Blend> blend_;
  std::int64_t start_ = 0;  // sample at which the blend began
};

// All windows of all prefixes, in the order of the files; the last one of a prefix is padded.
// Weights play no part.
class ValidationSet {
 public:
  ValidationSet(std::span<const WeightedPrefix> prefixes, const SampleOptions& options);

  std::int64_t sample_count() const { return sample_count_; }
  // Samples first, ..., first + count - 1; those beyond the last are padding without targets, so
  // that every batch may have the same size.
  void read(std::int64_t first, std::int64_t count, Batch& batch) const;

 private:
  struct Source {
    std::unique_ptr<MegatronDataset> data;
    PackedDocuments packed;
    std::int64_t windows;
  };
  std::int64_t read_row(std::int64_t sample, SampleRow row) const;

  std::int64_t seq_length_, sample_count_ = 0;
  std::vector<Source> sources_;
};

}  // namespace autarky
