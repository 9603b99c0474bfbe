#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/temporary.h"
#include "formats/megatron_index.h"

namespace autarky {
namespace {

constexpr std::size_t kChunk = 4096;  // elements held at a time

fs::path suffixed(const fs::path& prefix, std::string_view suffix) {
  return prefix.string() + std::string(suffix);
}

template <typename T>
void put(std::ofstream& file, std::span<const T> values) {
  file.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size_bytes()));
}
template <typename T>
void put(std::ofstream& file, T value) {
  put(file, std::span<const T>(&value, 1));
}

void close(std::ofstream& stream, const AtomicFile& file) {
  stream.close();
  if (!stream) throw file_error("write", file.path());
}

}  // namespace

MegatronWriter::MegatronWriter(const fs::path& prefix, std::int64_t vocab_size)
    : bin_file_(suffixed(prefix, ".bin")),
      idx_file_(suffixed(prefix, ".idx")),
      vocab_size_(vocab_size),
      dtype_(vocab_size <= 65536 ? DType::u16 : DType::i32),
      bin_(temporary_name(bin_file_.path()), std::ios::binary),
      idx_(temporary_name(idx_file_.path()), std::ios::binary) {
  AUTARKY_CHECK(vocab_size > 0 && vocab_size <= std::numeric_limits<std::int32_t>::max(),
                "vocabulary size");
  refuse_other_writers(bin_file_.path());
  write_header();  // with counts of 0; seal() writes it again
}

void MegatronWriter::write_header() {
  put(idx_, std::span<const char>("MMIDIDX\0\0", 9));
  put(idx_, std::uint64_t(1));
  put(idx_, std::uint8_t(dtype_ == DType::u16 ? 8 : 4));
  put(idx_, std::uint64_t(documents_));
  put(idx_, std::uint64_t(documents_ + 1));
}

void MegatronWriter::add_document(std::span<const std::int32_t> tokens) {
  if (tokens.size() > std::size_t(std::numeric_limits<std::int32_t>::max()))
    throw InputError(fmt::format("document {} is too long", documents_))
        .found(fmt::format("{} tokens", tokens.size()))
        .wanted("less than 2^31")
        .hint("Cut it into several documents");
  for (const auto token : tokens)
    if (token < 0 || token >= vocab_size_)
      throw InputError(fmt::format("document {} has a token outside the vocabulary", documents_))
          .found(fmt::format("id {}", token))
          .wanted(fmt::format("0 to {}", vocab_size_ - 1));
  if (dtype_ == DType::i32) put(bin_, tokens);
  std::array<std::uint16_t, kChunk> narrow;
  for (auto rest = tokens; dtype_ == DType::u16 && !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kChunk));
    std::copy(part.begin(), part.end(), narrow.begin());
    put(bin_, std::span<const std::uint16_t>(narrow.data(), part.size()));
    rest = rest.subspan(part.size());
  }
  put(idx_, std::int32_t(tokens.size()));
  if (!bin_ || !idx_) throw file_error("write", (bin_ ? idx_file_ : bin_file_).path());
  ++documents_;
  tokens_ += std::int64_t(tokens.size());
}

// The sizes are in the file already: read them back, a part at a time, and append their sums.
void MegatronWriter::write_pointers() {
  idx_.flush();
  std::ifstream sizes(temporary_name(idx_file_.path()), std::ios::binary);
  sizes.seekg(kMegatronHeaderBytes);
  std::array<std::int32_t, kChunk> part;
  std::int64_t byte = 0;
  for (std::int64_t done = 0; done < documents_;) {
    const auto n = std::min(std::int64_t(kChunk), documents_ - done);
    if (!sizes.read(reinterpret_cast<char*>(part.data()), n * 4))
      throw Error(fmt::format("cannot read back '{}'", idx_file_.path().string()));
    for (std::int64_t i = 0; i < n; ++i) {
      put(idx_, byte);
      byte += part[std::size_t(i)] * byte_size(dtype_);
    }
    done += n;
  }
}

void MegatronWriter::write_document_index() {
  for (std::int64_t i = 0; i <= documents_; ++i) put(idx_, i);
}

void MegatronWriter::seal() {
  write_pointers();
  write_document_index();
  idx_.seekp(0);
  write_header();
  close(bin_, bin_file_);
  close(idx_, idx_file_);
  sync_path(temporary_name(bin_file_.path()));
  sync_path(temporary_name(idx_file_.path()));
}

void MegatronWriter::publish() {
  AUTARKY_CHECK(!idx_.is_open(), "seal() before publish()");
  std::error_code error;
  fs::remove(idx_file_.path(), error);  // an old index must not stand beside a new .bin
  if (error)
    throw Error(fmt::format("cannot write '{}': {}", idx_file_.path().string(), error.message()));
  bin_file_.finish();
  idx_file_.finish();
}

}  // namespace autarky
