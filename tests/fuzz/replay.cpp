// Runs a fuzz target on every file of a folder, without a fuzzer.
#include <cstdint>
#include <cstdio>

#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// libFuzzer's own, which mutators of targets call; nothing is mutated here.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t*, std::size_t size, std::size_t) {
  return size;
}

int main(int, char** arguments) {
  int files = 0;
  for (const auto& entry : autarky::fs::directory_iterator(arguments[1])) {
    const std::string bytes = autarky::read_file(entry.path());
    std::fprintf(stderr, "%s\n", entry.path().filename().c_str());
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    ++files;
  }
  std::printf("%d inputs\n", files);
  return files > 0 ? 0 : 1;
}
