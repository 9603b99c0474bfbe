#include "formats/safetensors_writer.h"

#include <fmt/core.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "formats/safetensors.h"

namespace autarky {
namespace {

// Length, JSON and padding: the data begins at a multiple of 8.
std::string header_of(const std::vector<SafetensorsSpec>& tensors) {
  Json header = Json::object();
  header["__metadata__"] = {{"format", "pt"}};
  std::int64_t begin = 0;
  for (const auto& t : tensors) {
    AUTARKY_CHECK(!header.contains(t.name), "each tensor is written once");
    const std::int64_t end = begin + t.bytes();
    header[t.name] = {{"dtype", safetensors_dtype_name(t.dtype)},
                      {"shape", t.shape},
                      {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) length[std::size_t(i)] = char(text.size() >> (8 * i) & 0xff);
  return length + text;
}

WrittenFile written_file(const fs::path& path) {
  const MappedFile file(path);
  return {path.filename().string(), std::int64_t(file.bytes().size()), xxh3(file.bytes())};
}

}  // namespace

std::int64_t SafetensorsSpec::bytes() const {
  std::int64_t n = byte_size(dtype);
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

SafetensorsWriter::SafetensorsWriter(const fs::path& path, std::vector<SafetensorsSpec> tensors)
    : file_(path), tensors_(std::move(tensors)) {
  const std::string header = header_of(tensors_);
  file_.put(std::as_bytes(std::span(header)));
  skip_empty();
}

void SafetensorsWriter::skip_empty() {
  while (!complete() && tensors_[current_].bytes() == 0) ++current_;
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  AUTARKY_CHECK(!complete() && tensors_[current_].name == name, "tensors come in the given order");
  written_ += std::int64_t(bytes.size());
  AUTARKY_CHECK(written_ <= tensors_[current_].bytes(), "a tensor has the bytes of its shape");
  file_.put(bytes);
  if (written_ < tensors_[current_].bytes()) return;
  written_ = 0;
  ++current_;
  skip_empty();
}

WrittenFile SafetensorsWriter::finish() {
  AUTARKY_CHECK(complete(), "all tensors are written before finish()");
  file_.finish();
  return written_file(file_.path());
}

// By owner, in the order of their first tensors; a new shard where the next tensor would pass the
// limit.
std::vector<SafetensorsSetWriter::Shard> SafetensorsSetWriter::into_shards(
    std::vector<SafetensorsSpec> tensors, std::int64_t most_bytes, const WritingShare& share) {
  std::map<int, std::vector<SafetensorsSpec>> by_owner;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    by_owner[share.owner(i)].push_back(std::move(tensors[i]));
  if (by_owner.empty()) by_owner[0] = {};
  std::vector<Shard> shards;
  for (auto& [owner, its] : by_owner) {
    shards.push_back({owner, {}});
    std::int64_t size = 0;
    for (auto& t : its) {
      if (!shards.back().tensors.empty() && size + t.bytes() > most_bytes) {
        shards.push_back({owner, {}});
        size = 0;
      }
      size += t.bytes();
      shards.back().tensors.push_back(std::move(t));
    }
  }
  return shards;
}

SafetensorsSetWriter::SafetensorsSetWriter(const fs::path& folder, const std::string& stem,
                                           std::vector<SafetensorsSpec> tensors,
                                           std::int64_t most_bytes, const WritingShare& share)
    : folder_(folder),
      stem_(stem),
      rank_(share.rank),
      shards_(into_shards(std::move(tensors), most_bytes, share)) {
  open_next_shard();
}

std::string SafetensorsSetWriter::shard_name(std::size_t shard) const {
  if (shards_.size() == 1) return stem_ + ".safetensors";
  return fmt::format("{}-{:05}-of-{:05}.safetensors", stem_, shard + 1, shards_.size());
}

bool SafetensorsSetWriter::open_next_shard() {
  if (writer_) done_.push_back(writer_->finish());
  writer_.reset();
  while (next_ < shards_.size() && shards_[next_].owner != rank_) ++next_;
  if (next_ == shards_.size()) return false;
  writer_ =
      std::make_unique<SafetensorsWriter>(folder_ / shard_name(next_), shards_[next_].tensors);
  ++next_;
  return true;
}

void SafetensorsSetWriter::write(std::string_view name, std::span<const std::byte> bytes) {
  while (!bytes.empty() && writer_ && writer_->complete() && open_next_shard()) {
  }
  AUTARKY_CHECK(writer_, "a rank writes the tensors it owns");
  writer_->write(name, bytes);
}

std::vector<WrittenFile> SafetensorsSetWriter::finish() {
  while (open_next_shard()) {  // a last shard of nothing but empty tensors
  }
  if (shards_.size() > 1 && rank_ == 0) done_.push_back(write_index());
  return std::move(done_);
}

WrittenFile SafetensorsSetWriter::write_index() const {
  std::int64_t total = 0;
  Json map = Json::object();
  for (std::size_t i = 0; i < shards_.size(); ++i)
    for (const auto& t : shards_[i].tensors) {
      map[t.name] = shard_name(i);
      total += t.bytes();
    }
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}};
  const fs::path path = folder_ / (stem_ + ".safetensors.index.json");
  write_file_atomic(path, index.dump(2) + "\n");
  return written_file(path);
}

}  // namespace autarky
