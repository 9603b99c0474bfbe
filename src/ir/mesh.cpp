#include "ir/mesh.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/words.h"

namespace autarky {

std::optional<Axis> parse_axis(std::string_view name) {
  const auto it = std::find(kAxisNames.begin(), kAxisNames.end(), name);
  if (it == kAxisNames.end()) return std::nullopt;
  return static_cast<Axis>(it - kAxisNames.begin());
}

int Mesh::ranks() const {
  int n = 1;
  for (int size : sizes) n *= size;
  return n;
}

Coordinates Mesh::coordinates(int rank) const {
  Coordinates at{};
  for (std::size_t a = sizes.size(); a-- > 0;) {
    at[a] = rank % sizes[a];
    rank /= sizes[a];
  }
  return at;
}

int Mesh::rank(const Coordinates& at) const {
  int r = 0;
  for (std::size_t a = 0; a < sizes.size(); ++a) r = r * sizes[a] + at[a];
  return r;
}

std::vector<int> Mesh::group(int rank_in, Axis axis) const {
  Coordinates at = coordinates(rank_in);
  std::vector<int> members;
  for (int i = 0; i < size(axis); ++i) {
    at[static_cast<std::size_t>(axis)] = i;
    members.push_back(rank(at));
  }
  return members;
}

std::string Mesh::to_string() const {
  std::string text;
  for (std::size_t a = 0; a < sizes.size(); ++a)
    if (sizes[a] > 1)
      text += fmt::format("{}{}{}", text.empty() ? "" : " ", kAxisNames[a], sizes[a]);
  return text.empty() ? "one rank" : text;
}

std::optional<Mesh> parse_mesh(std::string_view text) {
  constexpr std::int64_t kMostRanks = 1 << 30;
  Mesh mesh;
  if (text == "one rank") return mesh;
  std::int64_t ranks = 1;
  for (const auto& item : split(text, ' ')) {
    const auto digits = std::min(item.find_first_of("0123456789"), item.size());
    const auto axis = parse_axis(std::string_view(item).substr(0, digits));
    int size = 0;
    std::from_chars(item.data() + digits, item.data() + item.size(), size);
    if (!axis || size < 2 || (ranks *= size) > kMostRanks) return std::nullopt;
    mesh.size(*axis) = size;
  }
  if (mesh.to_string() != text) return std::nullopt;
  return mesh;
}

}  // namespace autarky
