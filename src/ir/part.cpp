#include "ir/part.h"

#include <algorithm>

namespace autarky {
namespace {

// A value as rows of contiguous elements: the last dim that is split, with all behind it.
struct Rows {
  std::int64_t rows = 1;              // of the part
  std::int64_t count = 1;             // elements of one
  std::vector<std::int64_t> extents;  // of the part's dims that number the rows, outermost first
  std::vector<std::int64_t> strides;  // in the whole
  std::int64_t origin = 0;            // of the first row in the whole
};

Rows rows_of(const Type& type, const Mesh& mesh, const Coordinates& at) {
  const Type local = local_type(type, mesh);
  Rows r;
  std::int64_t stride = 1;
  bool inner = true;  // no split dim passed yet
  for (std::size_t d = type.dims.size(); d-- > 0;) {
    const auto extent = local.dims[d].extent;
    r.origin += extent * piece_index(mesh, type.layout.split[d], at) * stride;
    if (inner) {
      r.count *= extent;
      inner = extent == type.dims[d].extent;
    } else {
      r.rows *= extent;
      r.extents.insert(r.extents.begin(), extent);
      r.strides.insert(r.strides.begin(), stride);
    }
    stride *= type.dims[d].extent;
  }
  return r;
}

}  // namespace

namespace {

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
    std::int64_t whole = rows.origin, rest = row;
    for (std::size_t d = rows.extents.size(); d-- > 0;) {
      whole += rest % rows.extents[d] * rows.strides[d];
      rest /= rows.extents[d];
    }
    for (std::int64_t i = 0; i < rows.count; i += most)
      runs.push_back({row * rows.count + i, whole + i, std::min(most, rows.count - i)});
  }
  return runs;
}

}  // namespace autarky
