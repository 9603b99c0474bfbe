// Files: memory-mapped reading, atomic writing.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace autarky {

namespace fs = std::filesystem;

// A whole file mapped read-only. Throws InputError if it cannot be opened.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

std::string read_file(const fs::path& path);

// Writes to a temporary name beside `path`, syncs, renames: the file is whole or absent.
void write_file_atomic(const fs::path& path, std::string_view content);

// A file written piece by piece under a temporary name; finish() syncs it and gives it its name.
// Without finish() nothing is left. A disk that is full or fails is an Error.
class AtomicFile {
 public:
  explicit AtomicFile(const fs::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void put(std::span<const std::byte> bytes);
  void finish();
  const fs::path& path() const { return path_; }

 private:
  void abandon();

  fs::path path_, temporary_;
  int fd_ = -1;
};

// Flushes a file's or a folder's data to the disk.
void sync_path(const fs::path& path);

}  // namespace autarky
