// Scratch memory of a thread, reused from call to call.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace autarky::cpu {

// Floats aligned to 64 bytes; grows, never shrinks; contents are lost when it grows.
class Scratch {
 public:
  float* get(std::int64_t floats) {
    if (floats > size_) {
      data_.reset();
      size_ = 0;
      const std::size_t bytes = (std::size_t(floats) * sizeof(float) + 63) / 64 * 64;
      data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
      if (!data_) throw std::bad_alloc();
      size_ = floats;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  std::int64_t size_ = 0;
};

}  // namespace autarky::cpu
