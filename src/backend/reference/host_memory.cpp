#include "backend/host_memory.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"
#include "base/words.h"

namespace autarky {
namespace {

class HostMemory : public Memory {
 public:
  explicit HostMemory(std::int64_t bytes) : size_(std::size_t(std::max<std::int64_t>(bytes, 64))) {
    data_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED)
      throw Error(fmt::format("cannot allocate {} of memory", human_bytes(double(bytes))))
          .hint("Choose a smaller micro_batch_size, seq_length or model");
    ::madvise(data_, size_, MADV_HUGEPAGE);
    constexpr std::size_t kChunk = std::size_t(16) << 20;
    parallel_for(std::int64_t((size_ + kChunk - 1) / kChunk), [&](std::int64_t i, int) {
      const auto start = std::size_t(i) * kChunk;
      std::memset(static_cast<std::byte*>(data_) + start, 0, std::min(kChunk, size_ - start));
    });
  }
  ~HostMemory() override { ::munmap(data_, size_); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  std::span<std::byte> bytes() override { return {static_cast<std::byte*>(data_), size_}; }

 private:
  std::size_t size_;
  void* data_;
};

}  // namespace

std::unique_ptr<Memory> allocate_host(std::int64_t bytes) {
  return std::make_unique<HostMemory>(bytes);
}

}  // namespace autarky
