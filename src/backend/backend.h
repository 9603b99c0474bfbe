// A backend: code that runs programs on a kind of device.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "backend/kernel_table.h"

namespace autarky {

class Memory {
 public:
  virtual ~Memory() = default;
  virtual std::span<std::byte> bytes() = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual const KernelTable& kernels() const = 0;
  // Zeroed, aligned to 64 bytes, present (touched) when this returns.
  virtual std::unique_ptr<Memory> allocate(std::int64_t bytes) const = 0;
};

}  // namespace autarky
