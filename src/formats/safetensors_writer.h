// Writing safetensors, one tensor at a time: never more than one in memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"

namespace autarky {

struct SafetensorsSpec {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;

  std::int64_t bytes() const;
};

// A file that is whole and synced, for manifests.
struct WrittenFile {
  std::string name;  // without folder
  std::int64_t bytes = 0;
  std::uint64_t xxh3 = 0;
};

// One file. The header needs all shapes, so they are given first and the data follows in that
// order. Writes under a temporary name; finish() syncs and renames. Without finish() no file is
// left. A disk that is full or fails is an Error.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const fs::path& path, std::vector<SafetensorsSpec> tensors);

  // The next bytes of tensor `name`; a tensor may come in several pieces.
  void write(std::string_view name, std::span<const std::byte> bytes);
  bool complete() const { return current_ == tensors_.size(); }  // all data was written
  WrittenFile finish();

 private:
  void skip_empty();  // tensors without elements have no data to wait for

  AtomicFile file_;
  std::vector<SafetensorsSpec> tensors_;
  std::size_t current_ = 0;   // tensor that is being written
  std::int64_t written_ = 0;  // bytes of it
};

// A folder's "STEM.safetensors", or, above `most_bytes` of data a file, "STEM-00001-of-00003..."
// with "STEM.safetensors.index.json". Same calls as above. A tensor is never cut.
class SafetensorsSetWriter {
 public:
  SafetensorsSetWriter(const fs::path& folder, const std::string& stem,
                       std::vector<SafetensorsSpec> tensors, std::int64_t most_bytes);

  void write(std::string_view name, std::span<const std::byte> bytes);
  std::vector<WrittenFile> finish();

 private:
  std::string shard_name(std::size_t shard) const;
  void open_shard();
  WrittenFile write_index() const;

  fs::path folder_;
  std::string stem_;
  std::vector<std::vector<SafetensorsSpec>> shards_;
  std::size_t shard_ = 0;  // that is being written
  std::unique_ptr<SafetensorsWriter> writer_;
  std::vector<WrittenFile> done_;
};

}  // namespace autarky
