#include "base/hash.h"

#include <fmt/core.h>
#include <xxhash.h>

namespace autarky {

std::uint64_t xxh3(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}
std::uint64_t xxh3(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }
std::string hex64(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace autarky
