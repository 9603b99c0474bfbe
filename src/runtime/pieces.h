// How tensors lie in one message: cut into pieces, or one after the other.
#pragma once
#include <vector>

#include "backend/kernel_table.h"

namespace autarky {

// A tensor along a dim: `outer` runs of `extent` units of `unit` bytes.
struct Runs {
  std::int64_t outer, extent, unit;
};

// `count` pieces of every tensor: piece 0 of each, then piece 1 of each ... The last are filled up
// with zeros where a tensor ends before.
class Pieces {
 public:
  // Tensor i along `dim` (or kFlatDim), in pieces as large as parts[i].
  Pieces(std::span<const Tensor> tensors, std::span<const Tensor> parts, std::int64_t dim,
         int count);
  // The tensors one after the other.
  explicit Pieces(std::span<const Tensor> tensors);

  std::size_t bytes() const { return std::size_t(count_ * slot_); }
  // Whether a single tensor's memory is that of its pieces.
  bool lie_in_place() const;
  void cut(std::byte* to) const;
  void join(const std::byte* from) const;

 private:
  struct Cut {
    std::byte* tensor;
    Runs runs;
    std::int64_t units;  // of a piece
    std::int64_t at;     // of its pieces in their slots
  };
  std::vector<Cut> cuts_;
  std::int64_t count_, slot_ = 0;  // slot: bytes of one piece of every tensor
};

// Piece `index` of `whole` along `dim` (or kFlatDim), as large as `piece`.
void cut_piece(const Tensor& whole, std::int64_t dim, std::int64_t index, const Tensor& piece);

}  // namespace autarky
