// Finding processes that a test has started.
#pragma once
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "unit/formats/scratch_folder.h"

namespace autarky {

// Processes with `mark` in their command line, but for this one; with a folder those that work in
// it or below: other tests may run processes of the same command at the same time.
inline std::vector<int> processes_with(const std::string& mark, const fs::path& folder = {}) {
  std::vector<int> found;
  std::error_code none;
  const std::string above = folder.empty() ? "" : fs::canonical(folder).string();
  for (const auto& entry : fs::directory_iterator("/proc", none)) {
    const auto name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    if (content_of(entry.path() / "cmdline").find(mark) == std::string::npos) continue;
    if (!fs::read_symlink(entry.path() / "cwd", none).string().starts_with(above)) continue;
    found.push_back(std::stoi(name));
  }
  return found;
}

// Whether all of them are gone, within ten seconds.
inline bool all_gone(const std::string& mark, const fs::path& folder = {}) {
  for (int i = 0; i < 100; ++i) {
    if (processes_with(mark, folder).empty()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

}  // namespace autarky
