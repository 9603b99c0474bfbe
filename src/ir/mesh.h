// The device mesh: named axes and a rank's place on them.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autarky {

// Slowest first: ranks that differ in tp only are neighbours. tpr is a sub-axis: the inner factor
// of tensor parallelism above the number of kv groups, which splits the queries of a group.
enum class Axis : std::uint8_t { pp, dp, fsdp, cp, ep, tp, tpr };
inline constexpr std::array<std::string_view, 7> kAxisNames = {"pp", "dp", "fsdp", "cp",
                                                               "ep", "tp", "tpr"};
constexpr std::string_view axis_name(Axis a) { return kAxisNames[static_cast<std::size_t>(a)]; }
std::optional<Axis> parse_axis(std::string_view name);

using Coordinates = std::array<int, kAxisNames.size()>;  // a rank's index along each axis

struct Mesh {
  std::array<int, kAxisNames.size()> sizes = {1, 1, 1, 1, 1, 1, 1};

  int size(Axis a) const { return sizes[static_cast<std::size_t>(a)]; }
  int& size(Axis a) { return sizes[static_cast<std::size_t>(a)]; }
  int ranks() const;
  Coordinates coordinates(int rank) const;
  int rank(const Coordinates& at) const;
  // The ranks that differ from `rank` along `axis` only, in order of their index on it.
  std::vector<int> group(int rank, Axis axis) const;
  std::string to_string() const;  // "pp2 dp2 tp2", axes of size 1 left out; "one rank"
  bool operator==(const Mesh&) const = default;
};

// The inverse of to_string.
std::optional<Mesh> parse_mesh(std::string_view text);

}  // namespace autarky
