// xxh3 of bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace autarky {

std::uint64_t xxh3(std::span<const std::byte> bytes);
std::uint64_t xxh3(std::string_view text);
std::string hex64(std::uint64_t value);  // 16 lower-case digits

}  // namespace autarky
