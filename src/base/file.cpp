#include "base/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace autarky {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

InputError cannot(std::string_view verb, const fs::path& path) {
  return InputError(fmt::format("cannot {} '{}': {}", verb, path.string(), std::strerror(errno)));
}

// Not the input's fault: a disk is full or broken.
Error failed_to(std::string_view verb, const fs::path& path) {
  Error error(fmt::format("cannot {} '{}': {}", verb, path.string(), std::strerror(errno)));
  if (errno == ENOSPC) error.hint("free some space, or write to another disk");
  return error;
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info {};
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0) throw cannot("read", path);
  if (!S_ISREG(info.st_mode))
    throw InputError(fmt::format("cannot read '{}': it is not a file", path.string()));
  size_ = std::size_t(info.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) throw cannot("map", path);
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}
MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

std::string read_file(const fs::path& path) {
  const MappedFile file(path);
  return std::string(file.text());
}

void sync_path(const fs::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0 || ::fsync(file.fd) != 0) throw cannot("sync", path);
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  const fs::path temporary = path.string() + ".tmp" + std::to_string(::getpid());
  {
    const Descriptor file{
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (file.fd < 0) throw cannot("write", temporary);
    for (std::string_view rest = content; !rest.empty();) {
      const ssize_t n = ::write(file.fd, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const auto error = cannot("write", temporary);
        ::unlink(temporary.c_str());
        throw error;
      }
      rest.remove_prefix(std::size_t(n));
    }
    if (::fsync(file.fd) != 0) throw cannot("sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw cannot("write", path);
}

AtomicFile::AtomicFile(const fs::path& path)
    : path_(path), temporary_(path.string() + ".tmp" + std::to_string(::getpid())) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw failed_to("write", temporary_);
}

AtomicFile::~AtomicFile() { abandon(); }

void AtomicFile::abandon() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  ::unlink(temporary_.c_str());
}

void AtomicFile::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw failed_to("write", temporary_);
    bytes = bytes.subspan(std::size_t(n));
  }
}

void AtomicFile::finish() {
  if (::fsync(fd_) != 0) throw failed_to("sync", temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw failed_to("write", path_);
  ::close(std::exchange(fd_, -1));
  sync_path(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

}  // namespace autarky
