#include "base/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/temporary.h"

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

// Whether `name` is FILE.tmp and digits: a temporary name of AtomicFile for that file.
bool is_temporary_of(std::string_view name, const std::string& file) {
  if (!name.starts_with(file + ".tmp")) return false;
  const std::string_view process = name.substr(file.size() + 4);
  return !process.empty() && process.find_first_not_of("0123456789") == process.npos;
}

// What is being written is locked; the system unlocks it when its process ends, however it ends.
// Returns whether another process is writing a file of that path.
bool remove_abandoned(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path mine = temporary_name(path).filename();
  bool others = false;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path name = it->path().filename();
    if (!is_temporary_of(name.string(), path.filename().string())) continue;
    const Descriptor file{::open(it->path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (file.fd < 0) continue;
    if (::flock(file.fd, LOCK_EX | LOCK_NB) == 0) ::unlink(it->path().c_str());
    else if (errno == EWOULDBLOCK && name != mine) others = true;
  }
  return others;
}

// -1: between its opening and its locking another process took the file for abandoned.
int create_locked(const fs::path& path) {
  const int fd =
      ::open(temporary_name(path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) throw file_error("write", path);
  struct stat info {};
  const bool locked = ::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
  if (locked && ::fstat(fd, &info) == 0 && info.st_nlink > 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

fs::path temporary_name(const fs::path& path) {
  return path.string() + ".tmp" + std::to_string(::getpid());
}

void refuse_other_writers(const fs::path& path) {
  if (remove_abandoned(path))
    throw InputError("another process is writing this file")
        .at(path.string())
        .hint("Wait for it to end, or write to another place");
}

Error file_error(std::string_view verb, const fs::path& path) {
  const int code = errno;
  const std::string what =
      fmt::format("cannot {} '{}': {}", verb, path.string(), std::strerror(code));
  switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Error(what).hint("Free some space, or write to another disk");
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case ENAMETOOLONG:
      return Error(what, 2).hint("Does the folder exist, and may you write to it?");
    default:
      return Error(what);
  }
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return;
  errno = error.value();
  throw file_error("make the folder", path);
}

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
  if (file.fd < 0 || ::fsync(file.fd) != 0) throw file_error("sync", path);
}

AtomicFile::AtomicFile(const fs::path& path) : path_(path), temporary_(temporary_name(path)) {
  remove_abandoned(path);
  while ((fd_ = create_locked(path)) < 0) {
  }
}

AtomicFile::~AtomicFile() { abandon(); }

void AtomicFile::abandon() {
  if (fd_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(std::exchange(fd_, -1));
}

void AtomicFile::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error("write", path_);
    bytes = bytes.subspan(std::size_t(n));
  }
}

void AtomicFile::finish() {
  if (::fsync(fd_) != 0) throw file_error("sync", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw file_error("write", path_);
  ::close(std::exchange(fd_, -1));
  sync_path(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.put(std::as_bytes(std::span(content)));
  file.finish();
}

}  // namespace autarky
