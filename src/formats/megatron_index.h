// Megatron-LM's indexed dataset: PREFIX.bin holds token ids end to end, PREFIX.idx says where each
// sequence and each document lies. All numbers are little-endian and packed, without padding:
//   9 bytes   "MMIDIDX\0\0"
//   u64       version, 1
//   u8        element type of .bin: 8 = u16, 4 = i32 (other codes of Megatron are refused)
//   u64       n, number of sequences
//   u64       m, number of entries of the document index: documents + 1
//   i32[n]    tokens of each sequence
//   i64[n]    byte in .bin where each sequence starts
//   i64[m]    first sequence of each document, and n at the end
// Source: megatron/core/datasets/indexed_dataset.py of Megatron-LM.
#pragma once
#include <cstdint>
#include <fstream>
#include <span>
#include <string>

#include "base/dtype.h"
#include "base/file.h"

namespace autarky {

inline constexpr std::int64_t kMegatronHeaderBytes = 9 + 8 + 1 + 8 + 8;

// Reads both files through memory maps. The constructor checks every number of the index, so that
// reading cannot leave the file; it throws InputError for whatever does not hold. Beyond the format
// it wants the sequences of one document to lie side by side in .bin, as every known writer does.
class MegatronDataset {
 public:
  explicit MegatronDataset(const fs::path& prefix);

  const fs::path& prefix() const { return prefix_; }
  DType dtype() const { return dtype_; }  // u16 or i32
  std::int64_t sequence_count() const { return sequences_; }
  std::int64_t document_count() const { return documents_; }
  std::int64_t token_count() const { return tokens_; }  // sum over sequences
  std::int64_t byte_count() const;                      // of both files
  // Tells token files apart, wherever they lie: xxh3 of the index and of both ends of .bin.
  std::uint64_t fingerprint() const;

  std::int64_t sequence_size(std::int64_t sequence) const;  // tokens
  std::int64_t document_size(std::int64_t document) const;  // tokens; 0 is legal
  // Copies tokens [offset, offset + out.size()) of a sequence or document, widened to i32.
  void read_sequence(std::int64_t sequence, std::int64_t offset, std::span<std::int32_t> out) const;
  void read_document(std::int64_t document, std::int64_t offset, std::span<std::int32_t> out) const;

 private:
  void parse_header();
  void check_sequences();
  void check_documents();
  void check_document(std::int64_t document) const;
  std::int64_t pointer(std::int64_t sequence) const;         // byte in .bin
  std::int64_t first_sequence(std::int64_t document) const;  // document may be document_count()
  void copy(std::int64_t byte, std::span<std::int32_t> out) const;

  fs::path prefix_;
  MappedFile index_, data_;
  DType dtype_ = DType::u16;
  std::int64_t sequences_ = 0, documents_ = 0, tokens_ = 0;
};

// Writes one document at a time, each as one sequence, in memory that does not grow with the data.
// Everything goes to temporary names; publish() gives both files their names. A writer destroyed
// before publish() removes what it wrote.
class MegatronWriter {
 public:
  // u16 when vocab_size <= 65536, else i32. InputError if the files cannot be made, or another
  // process is writing them.
  MegatronWriter(const fs::path& prefix, std::int64_t vocab_size);

  // InputError for an id outside [0, vocab_size) or a document of 2^31 tokens or more.
  void add_document(std::span<const std::int32_t> tokens);
  void seal();     // completes both temporary files and syncs them; no add_document after it
  void publish();  // renames them; after seal()

  DType dtype() const { return dtype_; }
  std::int64_t document_count() const { return documents_; }
  std::int64_t token_count() const { return tokens_; }

 private:
  void write_header();
  void write_pointers();
  void write_document_index();

  AtomicFile bin_file_, idx_file_;
  std::int64_t vocab_size_;
  DType dtype_;
  std::ofstream bin_, idx_;  // write the above
  std::int64_t documents_ = 0, tokens_ = 0;
};

}  // namespace autarky
