#include "runtime/pieces.h"

#include <algorithm>
#include <cstring>

#include "ops/movement.h"

namespace autarky {
namespace {

Runs runs_of(const Tensor& t, std::int64_t dim) {
  Runs r{1, t.elements(), byte_size(t.dtype())};
  if (dim == kFlatDim) return r;
  r.extent = t.extent(std::size_t(dim));
  for (std::size_t i = 0; i < t.type->dims.size(); ++i)
    if (std::int64_t(i) != dim) (std::int64_t(i) < dim ? r.outer : r.unit) *= t.extent(i);
  return r;
}
std::int64_t units_of(const Tensor& t, std::int64_t dim) {
  return dim == kFlatDim ? t.elements() : t.extent(std::size_t(dim));
}

// Copies piece `index` of `units` along a dim, filled up with zeros where the whole ends.
void cut_out(const Runs& r, std::int64_t units, std::int64_t index, const std::byte* whole,
             std::byte* piece) {
  const auto begin = std::min(index * units, r.extent), end = std::min(begin + units, r.extent);
  const auto bytes = std::size_t((end - begin) * r.unit), room = std::size_t(units * r.unit);
  for (std::int64_t o = 0; o < r.outer; ++o, piece += room) {
    std::memcpy(piece, whole + (o * r.extent + begin) * r.unit, bytes);
    std::memset(piece + bytes, 0, room - bytes);
  }
}
// And back, without what it was filled up with.
void put_in(const Runs& r, std::int64_t units, std::int64_t index, const std::byte* piece,
            std::byte* whole) {
  const auto begin = std::min(index * units, r.extent), end = std::min(begin + units, r.extent);
  for (std::int64_t o = 0; o < r.outer; ++o)
    std::memcpy(whole + (o * r.extent + begin) * r.unit, piece + o * units * r.unit,
                std::size_t((end - begin) * r.unit));
}

}  // namespace

Pieces::Pieces(std::span<const Tensor> tensors, std::span<const Tensor> parts, std::int64_t dim,
               int count)
    : count_(count) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Cut c{tensors[i].data, runs_of(tensors[i], dim), units_of(parts[i], dim), slot_};
    slot_ += c.runs.outer * c.units * c.runs.unit;
    cuts_.push_back(c);
  }
}

Pieces::Pieces(std::span<const Tensor> tensors) : Pieces(tensors, tensors, kFlatDim, 1) {}

bool Pieces::lie_in_place() const {
  const Cut& c = cuts_.front();
  return cuts_.size() == 1 && c.runs.outer == 1 && c.units * count_ == c.runs.extent;
}

void Pieces::cut(std::byte* to) const {
  for (const Cut& c : cuts_)
    for (std::int64_t i = 0; i < count_; ++i)
      cut_out(c.runs, c.units, i, c.tensor, to + i * slot_ + c.at);
}

void Pieces::join(const std::byte* from) const {
  for (const Cut& c : cuts_)
    for (std::int64_t i = 0; i < count_; ++i)
      put_in(c.runs, c.units, i, from + i * slot_ + c.at, c.tensor);
}

void cut_piece(const Tensor& whole, std::int64_t dim, std::int64_t index, const Tensor& piece) {
  cut_out(runs_of(whole, dim), units_of(piece, dim), index, whole.data, piece.data);
}

}  // namespace autarky
