#include "train/run_lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace autarky {

RunLock::RunLock(const fs::path& folder) {
  std::error_code made;
  fs::create_directories(folder, made);
  const auto refuse = [&](const std::string& why) {
    throw InputError(fmt::format("cannot write the run folder '{}': {}", folder.string(), why))
        .hint("Choose another --logging.run_dir");
  };
  if (made) refuse(made.message());
  file_ = ::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) refuse(std::strerror(errno));
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(file_);
  if (error != EWOULDBLOCK) refuse(std::strerror(error));
  throw InputError("another run is at work in this folder")
      .at(folder.string())
      .hint("Wait for it to end, or choose another --logging.run_dir");
}

RunLock::~RunLock() { ::close(file_); }

}  // namespace autarky
