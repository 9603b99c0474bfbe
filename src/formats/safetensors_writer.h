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

// Several ranks may write one set, each the tensors that it owns.
struct WritingShare {
  int rank = 0;
  std::vector<int>
      owners;  // by tensor, in the order in which they are given; empty: rank 0 has all

  bool mine(std::size_t tensor) const { return owner(tensor) == rank; }
  int owner(std::size_t tensor) const { return owners.empty() ? 0 : owners[tensor]; }
};

// A folder's "STEM.safetensors", or, above `most_bytes` of data a file, "STEM-00001-of-00003..."
// with "STEM.safetensors.index.json". Same calls as above. A tensor is never cut.
// A file has the tensors of one owner; rank 0 writes the index.
class SafetensorsSetWriter {
 public:
  SafetensorsSetWriter(const fs::path& folder, const std::string& stem,
                       std::vector<SafetensorsSpec> tensors, std::int64_t most_bytes,
                       const WritingShare& share = {});

  void write(std::string_view name, std::span<const std::byte> bytes);
  std::vector<WrittenFile> finish();

 private:
  std::string shard_name(std::size_t shard) const;
  bool open_next_shard();  // of this rank; false: there is none
  WrittenFile write_index() const;

  fs::path folder_;
  std::string stem_;
  struct Shard {
    int owner;
    std::vector<SafetensorsSpec> tensors;
  };
  static std::vector<Shard> into_shards(std::vector<SafetensorsSpec> tensors,
                                        std::int64_t most_bytes, const WritingShare& share);

  int rank_;
  std::vector<Shard> shards_;
  std::size_t next_ = 0;  // shard to look at next
  std::unique_ptr<SafetensorsWriter> writer_;
  std::vector<WrittenFile> done_;
};

}  // namespace autarky
