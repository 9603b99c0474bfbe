#include "backend/cpu/attention_mask.h"

#include <algorithm>

namespace autarky::cpu {
namespace {

constexpr std::int64_t kGrain = 16;  // the widest vector

// The smallest range of [0, count) outside which visible(i) is false, rounded
// out.
template <class Visible>
Range visible_range(std::int64_t count, const Visible& visible) {
  std::int64_t begin = 0, end = count;
  while (begin < end && !visible(begin)) ++begin;
  while (end > begin && !visible(end - 1)) --end;
  if (begin == end) return {};
  return {begin / kGrain * kGrain, std::min(round_up(end, kGrain), count)};
}

Bounds part_bounds(const TileSide& side, std::int64_t begin, std::int64_t width) {
  const std::size_t n = std::size_t(std::min(width, side.count - begin));
  return bounds_of({side.pos.data() + begin, n}, {side.seg.data() + begin, n});
}

Bounds at(const TileSide& side, std::int64_t i) {
  const std::int32_t pos = side.pos[std::size_t(i)], seg = side.seg[std::size_t(i)];
  return {pos, pos, seg, seg};
}

}  // namespace

Bounds bounds_of(std::span<const std::int32_t> pos, std::span<const std::int32_t> seg) {
  if (pos.empty()) return {};
  const auto [min_pos, max_pos] = std::minmax_element(pos.begin(), pos.end());
  const auto [min_seg, max_seg] = std::minmax_element(seg.begin(), seg.end());
  return {*min_pos, *max_pos, *min_seg, *max_seg};
}

bool may_see(const Bounds& q, const Bounds& k, std::int64_t window) {
  if (k.min_pos > q.max_pos || k.min_seg > q.max_seg || k.max_seg < q.min_seg) return false;
  if (k.max_seg < 0 || q.max_seg < 0) return false;
  return window == 0 || std::int64_t{q.min_pos} - k.max_pos < window;
}

bool all_see(const Bounds& q, const Bounds& k, std::int64_t window) {
  if (k.max_pos > q.min_pos || q.min_seg < 0) return false;
  if (q.min_seg != q.max_seg || k.min_seg != q.min_seg || k.max_seg != q.min_seg) return false;
  return window == 0 || std::int64_t{q.max_pos} - k.min_pos < window;
}

void TileSide::set(const std::int32_t* from_pos, const std::int32_t* from_seg, std::int64_t tokens,
                   std::int64_t repeat) {
  count = tokens * repeat;
  pos.assign(std::size_t(round_up(count, kGrain)), 0);
  seg.assign(std::size_t(round_up(count, kGrain)), -1);
  for (std::int64_t i = 0; i < count; ++i) {
    pos[std::size_t(i)] = from_pos[i / repeat];
    seg[std::size_t(i)] = from_seg[i / repeat];
  }
  bounds = part_bounds(*this, 0, count);
}

void make_strips(const TileSide& q, const TileSide& k, std::int64_t window, bool all,
                 std::vector<Strip>& strips) {
  strips.clear();
  if (all) {
    strips.push_back({{0, q.count}, {0, k.count}});
    return;
  }
  for (std::int64_t row = 0; row < q.count; row += kStripRows) {
    const Bounds rows = part_bounds(q, row, kStripRows);
    const Range keys =
        visible_range(k.count, [&](std::int64_t key) { return may_see(rows, at(k, key), window); });
    if (!keys.empty()) strips.push_back({{row, std::min(row + kStripRows, q.count)}, keys});
  }
}

}  // namespace autarky::cpu
