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

// Processes with `mark` in their command line, but for this one.
inline std::vector<int> processes_with(const std::string& mark) {
  std::vector<int> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/proc", none)) {
    const auto name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    if (content_of(entry.path() / "cmdline").find(mark) != std::string::npos)
      found.push_back(std::stoi(name));
  }
  return found;
}

// Whether all of them are gone, within ten seconds.
inline bool all_gone(const std::string& mark) {
  for (int i = 0; i < 100; ++i) {
    if (processes_with(mark).empty()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

}  // namespace autarky
