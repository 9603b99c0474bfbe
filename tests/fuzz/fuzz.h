// What the fuzz targets share: the input as files in a folder of this process.
#pragma once
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace autarky {

// Of this process, in memory where the machine has /dev/shm; removed at a regular end.
class FuzzFolder {
 public:
  FuzzFolder() {
    const fs::path memory = "/dev/shm";
    path_ = (fs::exists(memory) ? memory : fs::temp_directory_path()) /
            ("autarky_fuzz_" + std::to_string(::getpid()));
    fs::create_directories(path_);
  }
  ~FuzzFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;

  const fs::path& path() const { return path_; }
  fs::path write(std::string_view name, std::string_view content) const {
    const fs::path file = path_ / name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  fs::path path_;
};

inline const FuzzFolder& fuzz_folder() {
  static const FuzzFolder folder;
  return folder;
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Parts between bytes 0, which neither JSON nor YAML may hold: a file, then what is done with it.
inline std::vector<std::string_view> parts_of(std::string_view input) {
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = input.find('\0')) != input.npos; input.remove_prefix(end + 1))
    parts.push_back(input.substr(0, end));
  parts.push_back(input);
  return parts;
}

// True: `action` came to its end. An InputError is a right answer; another exception ends the
// process, which is a finding.
template <typename Action>
bool accepted(const Action& action) noexcept {
  try {
    action();
    return true;
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace autarky
