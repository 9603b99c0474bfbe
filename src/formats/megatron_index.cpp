#include "formats/megatron_index.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/hash.h"

namespace autarky {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::string_view kMagic{"MMIDIDX\0\0", 9};
constexpr std::uint64_t kVersion = 1;
constexpr std::int64_t kSequenceBytes = 4 + 8;  // a size and a pointer

struct ElementCode {
  std::uint8_t code;
  std::string_view name;
  std::optional<DType> dtype;
};
constexpr ElementCode kElementCodes[] = {
    {1, "uint8", {}}, {2, "int8", {}},    {3, "int16", {}},   {4, "int32", DType::i32},
    {5, "int64", {}}, {6, "float64", {}}, {7, "float32", {}}, {8, "uint16", DType::u16}};

fs::path with_suffix(const fs::path& prefix, std::string_view suffix) {
  return prefix.string() + std::string(suffix);
}

MappedFile open_part(const fs::path& prefix, std::string_view suffix) {
  const fs::path path = with_suffix(prefix, suffix);
  std::error_code error;
  if (!fs::exists(path, error))
    throw InputError(fmt::format("no file '{}'", path.string()))
        .hint(
            "A prefix is the path of a .bin/.idx pair without its ending; data build adds _train "
            "and _validation to its --out when it splits");
  return MappedFile(path);
}

template <typename T>
T load(const MappedFile& file, std::int64_t byte) {
  T value;
  std::memcpy(&value, file.bytes().data() + byte, sizeof value);
  return value;
}

DType parse_element_code(std::uint8_t code) {
  for (const auto& known : kElementCodes) {
    if (known.code != code) continue;
    if (known.dtype) return *known.dtype;
    throw InputError(fmt::format("tokens of type {} are not supported", known.name))
        .wanted("uint16 (code 8) or int32 (code 4)");
  }
  throw InputError("unknown element type")
      .found(fmt::format("code {}", code))
      .wanted("8 (uint16) or 4 (int32)");
}

InputError truncated(std::int64_t found, std::string_view wanted) {
  InputError error("the index is truncated");
  error.found(fmt::format("{} bytes", found)).wanted(wanted).hint("Copy or build it again");
  return error;
}

}  // namespace

MegatronDataset::MegatronDataset(const fs::path& prefix)
    : prefix_(prefix), index_(open_part(prefix, ".idx")), data_(open_part(prefix, ".bin")) {
  try {
    parse_header();
    check_sequences();
    check_documents();
  } catch (Error& error) {
    error.at(with_suffix(prefix, ".idx").string());
    throw;
  }
}

void MegatronDataset::parse_header() {
  const auto size = std::int64_t(index_.bytes().size());
  const bool has_magic = index_.text().substr(0, kMagic.size()) == kMagic;
  if (size >= std::int64_t(kMagic.size()) && !has_magic)
    throw InputError("not an index of Megatron's mmap format: it does not start with MMIDIDX");
  if (size < kMegatronHeaderBytes)
    throw truncated(size, fmt::format("a header of {}", kMegatronHeaderBytes));
  if (const auto version = load<std::uint64_t>(index_, 9); version != kVersion)
    throw InputError("unknown version").found(std::to_string(version)).wanted("1");
  dtype_ = parse_element_code(load<std::uint8_t>(index_, 17));
  const auto n = load<std::uint64_t>(index_, 18), m = load<std::uint64_t>(index_, 26);
  const std::uint64_t room = std::uint64_t(size - kMegatronHeaderBytes);
  if (n > room / kSequenceBytes || m > (room - n * kSequenceBytes) / 8)
    throw truncated(size, fmt::format("{} sequences and {} document entries", n, m));
  const std::uint64_t rest = room - n * kSequenceBytes - m * 8;
  if (rest == n && n > 0)
    throw InputError("a multimodal index (one mode per sequence) is not supported");
  if (rest != 0)
    throw InputError("the index is longer than its counts say")
        .found(fmt::format("{} bytes", size))
        .wanted(std::to_string(size - std::int64_t(rest)));
  if (m == 0) throw InputError("the document index is empty").wanted("a first entry of 0");
  sequences_ = std::int64_t(n);
  documents_ = std::int64_t(m) - 1;
}

void MegatronDataset::check_sequences() {
  const std::int64_t item = byte_size(dtype_), bytes = std::int64_t(data_.bytes().size());
  for (std::int64_t i = 0; i < sequences_; ++i) {
    const std::int64_t size = sequence_size(i), start = pointer(i);
    if (size < 0)
      throw InputError(fmt::format("sequence {} has {} tokens", i, size)).wanted("0 or more");
    if (start < 0 || start % item != 0)
      throw InputError(fmt::format("sequence {} starts at byte {} of .bin", i, start))
          .wanted(fmt::format("a multiple of {}, 0 or more", item));
    if (start > bytes || size > (bytes - start) / item)
      throw InputError(fmt::format("sequence {} leaves the .bin file", i))
          .found(fmt::format("{} tokens at byte {} of {}", size, start, bytes))
          .wanted("an end within the file")
          .hint("The .bin is truncated or belongs to another .idx");
    if (__builtin_add_overflow(tokens_, size, &tokens_))
      throw InputError("the sequences overlap: their tokens do not fit 64 bits");
  }
}

void MegatronDataset::check_documents() {
  if (first_sequence(0) != 0 || first_sequence(documents_) != sequences_)
    throw InputError("the document index does not span the sequences")
        .found(fmt::format("{} to {}", first_sequence(0), first_sequence(documents_)))
        .wanted(fmt::format("0 to {}", sequences_));
  for (std::int64_t d = 0; d < documents_; ++d) check_document(d);
}

void MegatronDataset::check_document(std::int64_t document) const {
  const std::int64_t first = first_sequence(document), end = first_sequence(document + 1);
  if (first < 0 || end < first || end > sequences_)
    throw InputError(fmt::format("document {} has sequences {} to {}", document, first, end))
        .wanted(fmt::format("rising numbers up to {}", sequences_));
  for (std::int64_t i = first + 1; i < end; ++i)
    if (pointer(i) != pointer(i - 1) + sequence_size(i - 1) * byte_size(dtype_))
      throw InputError(
          fmt::format("sequence {} of document {} does not follow the one before it", i, document))
          .hint("Write the sequences of a document side by side");
}

std::int64_t MegatronDataset::byte_count() const {
  return std::int64_t(index_.bytes().size() + data_.bytes().size());
}
std::uint64_t MegatronDataset::fingerprint() const {
  const auto bin = data_.bytes();
  const auto end = std::min<std::size_t>(bin.size(), 1 << 16);
  const std::uint64_t parts[] = {xxh3(index_.bytes()), xxh3(bin.first(end)), xxh3(bin.last(end))};
  return xxh3(std::as_bytes(std::span(parts)));
}
std::int64_t MegatronDataset::sequence_size(std::int64_t sequence) const {
  return load<std::int32_t>(index_, kMegatronHeaderBytes + 4 * sequence);
}
std::int64_t MegatronDataset::pointer(std::int64_t sequence) const {
  return load<std::int64_t>(index_, kMegatronHeaderBytes + 4 * sequences_ + 8 * sequence);
}
std::int64_t MegatronDataset::first_sequence(std::int64_t document) const {
  return load<std::int64_t>(index_,
                            kMegatronHeaderBytes + kSequenceBytes * sequences_ + 8 * document);
}
std::int64_t MegatronDataset::document_size(std::int64_t document) const {
  const std::int64_t first = first_sequence(document), end = first_sequence(document + 1);
  if (first == end) return 0;
  return (pointer(end - 1) - pointer(first)) / byte_size(dtype_) + sequence_size(end - 1);
}

void MegatronDataset::read_sequence(std::int64_t sequence, std::int64_t offset,
                                    std::span<std::int32_t> out) const {
  AUTARKY_CHECK(sequence >= 0 && sequence < sequences_, "sequence number");
  AUTARKY_CHECK(offset >= 0 && offset + std::int64_t(out.size()) <= sequence_size(sequence),
                "tokens of a sequence");
  copy(pointer(sequence) + offset * byte_size(dtype_), out);
}

void MegatronDataset::read_document(std::int64_t document, std::int64_t offset,
                                    std::span<std::int32_t> out) const {
  AUTARKY_CHECK(document >= 0 && document < documents_, "document number");
  AUTARKY_CHECK(offset >= 0 && offset + std::int64_t(out.size()) <= document_size(document),
                "tokens of a document");
  if (out.empty()) return;
  copy(pointer(first_sequence(document)) + offset * byte_size(dtype_), out);
}

void MegatronDataset::copy(std::int64_t byte, std::span<std::int32_t> out) const {
  if (out.empty()) return;
  if (dtype_ == DType::i32) {
    std::memcpy(out.data(), data_.bytes().data() + byte, out.size_bytes());
    return;
  }
  for (auto& token : out) token = load<std::uint16_t>(data_, byte), byte += 2;
}

}  // namespace autarky
