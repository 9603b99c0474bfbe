#include "base/words.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace autarky {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[b.size()];
}

std::string scaled(double n, std::span<const char* const> units) {
  std::size_t unit = 0;
  while (std::abs(n) >= 1000 && unit + 1 < units.size()) n /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f}{}", n, units[0])
                   : fmt::format("{:.{}f}{}", n,
                                 n < 10    ? 2
                                 : n < 100 ? 1
                                           : 0,
                                 units[unit]);
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  constexpr std::size_t kLongest = 256;  // nobody mistypes more, and files hold hostile names
  std::string best;
  if (name.size() > kLongest) return best;
  std::size_t least = std::max<std::size_t>(2, name.size() / 2) + 1;
  for (const auto& candidate : candidates) {
    if (candidate.size() >= name.size() + least) continue;
    if (const auto distance = edit_distance(name, candidate); distance < least)
      least = distance, best = candidate;
  }
  return best;
}

std::string human_bytes(double bytes) {
  static constexpr const char* kUnits[] = {" B", " kB", " MB", " GB", " TB", " PB"};
  return scaled(bytes, kUnits);
}

std::string human_count(double n) {
  static constexpr const char* kUnits[] = {"", " k", " M", " B", " T"};
  return scaled(n, kUnits);
}

std::string human_seconds(double s) {
  if (s < 1) return fmt::format("{:.0f} ms", s * 1e3);
  if (s < 60) return fmt::format("{:.1f} s", s);
  const auto whole = static_cast<long long>(s + 0.5);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find(separator, start), text.size());
    parts.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace autarky
