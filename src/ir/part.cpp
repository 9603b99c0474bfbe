#include "ir/part.h"

#include <algorithm>

namespace autarky {
namespace {

// A value as rows of contiguous elements: the last dim that is split, with all behind it.
struct Rows {
  std::int64_t rows = 1;    // of the part, without padding
  std::int64_t count = 1;   // elements of one
  std::int64_t origin = 0;  // of the first row in the whole
  struct Counter {          // a dim that numbers rows, innermost first
    std::int64_t count, part_stride, whole_stride;
  };
  std::vector<Counter> counters;
};

Rows rows_of(const Type& type, const Mesh& mesh, const Coordinates& at) {
  Rows r;
  std::int64_t part_stride = 1, whole_stride = 1;
  bool inner = true;  // no split dim passed yet
  for (std::size_t d = type.dims.size(); d-- > 0;) {
    const std::int64_t extent = type.dims[d].extent;
    const DimPart part = dim_part(extent, mesh, type.layout.split[d], at);
    r.origin += part.origin * whole_stride;
    if (inner) {
      r.count *= part.count;
      inner = part.extent == extent;
    } else {
      r.rows *= part.count;
      r.counters.push_back({part.count, part_stride, whole_stride});
    }
    part_stride *= part.extent;
    whole_stride *= extent;
  }
  return r;
}

// What is left of runs within [first, last) of the part, counted from there.
std::vector<Stretch> cut(const std::vector<Stretch>& runs, std::int64_t first, std::int64_t last) {
  std::vector<Stretch> kept;
  for (const Stretch& r : runs) {
    const auto from = std::max(r.part, first), to = std::min(r.part + r.count, last);
    if (from < to) kept.push_back({from - first, r.whole + from - r.part, to - from});
  }
  return kept;
}

}  // namespace

std::vector<Stretch> stretches_of(const Type& type, const Mesh& mesh, const Coordinates& at,
                                  std::int64_t most) {
  if (!type.layout.flat.empty()) {
    Type dims = type;
    dims.layout.flat.clear();
    const auto count = local_type(type, mesh).elements();
    const auto first = count * piece_index(mesh, type.layout.flat, at);
    return cut(stretches_of(dims, mesh, at, most), first, first + count);
  }
  const Rows rows = rows_of(type, mesh, at);
  std::vector<Stretch> runs;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    std::int64_t part = 0, whole = rows.origin, rest = row;
    for (const auto& c : rows.counters) {
      part += rest % c.count * c.part_stride;
      whole += rest % c.count * c.whole_stride;
      rest /= c.count;
    }
    for (std::int64_t i = 0; i < rows.count; i += most)
      runs.push_back({part + i, whole + i, std::min(most, rows.count - i)});
  }
  return runs;
}

}  // namespace autarky
