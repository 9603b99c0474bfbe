#include "data/build.h"

#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/temporary.h"
#include "formats/megatron_index.h"

namespace autarky {
namespace {

// A batch of documents is encoded in parallel; it bounds the memory, not the result.
constexpr std::size_t kBatchBytes = std::size_t(4) << 20;
constexpr std::size_t kBatchDocuments = 8192;

struct EncodedBatch {
  std::vector<std::string> documents;
  std::vector<std::vector<std::int32_t>> tokens;
};

struct Split {
  SplitCounts counts;
  MegatronWriter writer;

  Split(const fs::path& prefix, std::int64_t vocab_size)
      : counts{prefix}, writer(prefix, vocab_size) {}
  void add(std::string_view text, std::span<const std::int32_t> tokens) {
    writer.add_document(tokens);
    ++counts.documents;
    counts.tokens += std::int64_t(tokens.size());
    counts.bytes += std::int64_t(text.size());
  }
};

void check_options(const TextEncoder& encoder, const BuildOptions& options) {
  if (!(options.validation_fraction >= 0 && options.validation_fraction < 1))
    throw InputError("validation fraction")
        .found(fmt::format("{}", options.validation_fraction))
        .wanted("0 or more and less than 1");
  if (options.out_prefix.filename().empty())
    throw InputError(fmt::format("'{}' is no prefix", options.out_prefix.string()))
        .hint("Give a path whose last part starts the names of the files, such as data/corpus");
  if (options.add_eos && !encoder.eos_id)
    throw InputError("the tokenizer has no end-of-text token to put after each document")
        .hint("Train the tokenizer with one, or build without it");
}

fs::path suffixed(const fs::path& prefix, std::string_view suffix) {
  return prefix.string() + std::string(suffix);
}

EncodedBatch next_batch(DocumentReader& reader) {
  EncodedBatch batch;
  for (std::size_t bytes = 0; bytes < kBatchBytes && batch.documents.size() < kBatchDocuments;) {
    auto document = reader.next();
    if (!document) break;
    bytes += document->size();
    batch.documents.push_back(std::move(*document));
  }
  batch.tokens.resize(batch.documents.size());
  return batch;
}

void check_both_sides(const SplitCounts& train, const SplitCounts& validation) {
  if (train.documents > 0 && validation.documents > 0) return;
  throw InputError(
      fmt::format("the {} split gets no document", train.documents > 0 ? "validation" : "training"))
      .found(fmt::format("{} document(s) in all", train.documents + validation.documents))
      .wanted("some on either side")
      .hint(fmt::format("Whole documents are split: separate those of a .txt file by lines of {}, "
                        "give more text, or change the validation fraction (0: no split)",
                        kDocumentSeparator));
}

Json to_json(const SplitCounts& split) {
  return {{"prefix", split.prefix.filename().string()},
          {"documents", split.documents},
          {"tokens", split.tokens},
          {"bytes", split.bytes}};
}

std::string summary(const BuildCounts& counts, DType dtype, const TextEncoder& encoder,
                    const BuildOptions& options) {
  Json json = {
      {"tokenizer_hash", encoder.hash}, {"vocab_size", encoder.vocab_size},
      {"dtype", dtype_name(dtype)},     {"end_of_text", options.add_eos},
      {"seed", options.seed},           {"validation_fraction", options.validation_fraction},
      {"train", to_json(counts.train)}};
  if (counts.validation) json["validation"] = to_json(*counts.validation);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Encodes all documents of the reader into the split that each belongs to. While the documents of
// a batch are encoded, the next one is read and the one before is written, on the same threads.
void fill_splits(DocumentReader& reader, const TextEncoder& encoder, const BuildOptions& options,
                 Split& train, Split* validation, const ByteProgress& progress) {
  EncodedBatch before, batch = next_batch(reader), next;
  const auto write_before = [&] {
    for (std::size_t i = 0; i < before.documents.size(); ++i) {
      const std::string& text = before.documents[i];
      const bool held_out =
          validation && in_validation(text, options.validation_fraction, options.seed);
      (held_out ? *validation : train).add(text, before.tokens[i]);
    }
  };
  const auto encode = [&](std::size_t i) {
    batch.tokens[i] = encoder.encode(batch.documents[i]);
    if (options.add_eos) batch.tokens[i].push_back(*encoder.eos_id);
  };
  while (!batch.documents.empty() || !before.documents.empty()) {
    parallel_for(std::int64_t(2 + batch.documents.size()), [&](std::int64_t task, int) {
      if (task == 0) next = next_batch(reader);
      else if (task == 1) write_before();
      else encode(std::size_t(task) - 2);
    });
    if (progress) progress(reader.bytes_read(), reader.total_bytes());
    before = std::exchange(batch, std::exchange(next, {}));
  }
}

}  // namespace

bool in_validation(std::string_view document, double fraction, std::uint64_t seed) {
  return Random{seed, Purpose::split}.uniform(xxh3(document)) < fraction;
}

BuildCounts build_shards(std::span<const fs::path> inputs, const TextEncoder& encoder,
                         const BuildOptions& options, const ByteProgress& progress) {
  check_options(encoder, options);
  DocumentReader reader(inputs, options.text);
  if (options.out_prefix.has_parent_path()) make_folder(options.out_prefix.parent_path());
  const bool splits = options.validation_fraction > 0;
  Split train(suffixed(options.out_prefix, splits ? "_train" : ""), encoder.vocab_size);
  std::unique_ptr<Split> validation;
  if (splits)
    validation =
        std::make_unique<Split>(suffixed(options.out_prefix, "_validation"), encoder.vocab_size);
  fill_splits(reader, encoder, options, train, validation.get(), progress);
  BuildCounts counts{train.counts, {}, reader.invalid_documents()};
  if (validation) {
    counts.validation = validation->counts;
    check_both_sides(counts.train, *counts.validation);
    validation->writer.seal();
  }
  train.writer.seal();
  write_file_atomic(suffixed(options.out_prefix, ".json"),
                    summary(counts, train.writer.dtype(), encoder, options));
  if (validation) validation->writer.publish();
  train.writer.publish();
  return counts;
}

}  // namespace autarky
