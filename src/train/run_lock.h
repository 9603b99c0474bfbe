// One run at a time in a run's folder.
#pragma once
#include "base/file.h"

namespace autarky {

// Holds folder/.lock as long as it lives; the system lets go of it when the process ends, however
// it ends. Makes the folder if it is not there.
class RunLock {
 public:
  // InputError if the folder cannot be made or written, or another process holds it.
  explicit RunLock(const fs::path& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace autarky
