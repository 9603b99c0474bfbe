// Small helpers for messages: nearest names, sizes, times, lists.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace autarky {

// The candidate with the least edit distance to `name`, or "" when none is near or it is
// long.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);
std::string human_bytes(double bytes);      // "4.21 GB" (powers of 1000)
std::string human_seconds(double seconds);  // "2 h 05 min", "3 min 12 s", "4.1 s", "12 ms"
std::string human_count(double n);          // "12.3 M"
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

}  // namespace autarky
