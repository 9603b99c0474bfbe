// Which keys the rows of a tile see, from the smallest and largest positions
// and segments.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/blocks.h"

namespace autarky::cpu {

struct Bounds {
  std::int32_t min_pos = 0, max_pos = 0, min_seg = 0, max_seg = -1;
};
Bounds bounds_of(std::span<const std::int32_t> pos, std::span<const std::int32_t> seg);

// May any query within `q` see any key within `k`; do all see all?
bool may_see(const Bounds& q, const Bounds& k, std::int64_t window);
bool all_see(const Bounds& q, const Bounds& k, std::int64_t window);

// Positions and segments of one side of a tile, padded to 16 with tokens that
// nobody sees.
struct TileSide {
  std::vector<std::int32_t> pos, seg;
  std::int64_t count = 0;
  Bounds bounds;

  // Tokens of [count] positions, each repeated.
  void set(const std::int32_t* from_pos, const std::int32_t* from_seg, std::int64_t tokens,
           std::int64_t repeat);
};

// Rows of a tile of queries and the keys that one of them may see, rounded out
// to 16.
struct Strip {
  Range rows, keys;
};
inline constexpr std::int64_t kStripRows = 48;

// The strips of a tile that see anything; one strip where all see all (`all`:
// no key needs a mask).
void make_strips(const TileSide& q, const TileSide& k, std::int64_t window, bool all,
                 std::vector<Strip>& strips);

}  // namespace autarky::cpu
