// How kernels cut their work: by shape alone, never by the number of threads.
#pragma once
#include <algorithm>

#include "backend/cpu/blocks.h"
#include "backend/kernel_table.h"
#include "base/parallel.h"

namespace autarky::cpu {

inline constexpr std::int64_t kPieceElements = 16384;

// Elements [begin, begin + n) of operands that have the same dims.
struct Piece {
  std::span<const Tensor> in, out;
  std::int64_t begin = 0, n = 0;

  template <class T>
  const T* input(std::size_t i) const {
    return in[i].as<const T>() + begin;
  }
  template <class T>
  T* output(std::size_t i) const {
    return out[i].as<T>() + begin;
  }
};

// body(begin, end) over [0, n) in ranges of `size`, on all threads.
template <class Body>
void parallel_ranges(std::int64_t n, std::int64_t size, const Body& body) {
  parallel_for(ceil_div(n, size),
               [&](std::int64_t i, int) { body(i * size, std::min(n, (i + 1) * size)); });
}

template <class Body>
void parallel_pieces(const KernelArgs& args, const Body& body) {
  parallel_ranges(args.out[0].elements(), kPieceElements,
                  [&](std::int64_t begin, std::int64_t end) {
                    body(Piece{args.in, args.out, begin, end - begin});
                  });
}

// Blocks of rows [rows, e] for sums over rows: each block is summed, then the blocks in order.
struct RowBlocks {
  std::int64_t rows = 0, size = 0, count = 0;
  explicit RowBlocks(std::int64_t all_rows)
      : rows(all_rows),
        size(std::max<std::int64_t>(16, ceil_div(all_rows, 64))),
        count(ceil_div(all_rows, size)) {}
};

// Rows of `e` elements that make about a piece.
constexpr std::int64_t rows_per_piece(std::int64_t e) {
  return std::max<std::int64_t>(1, kPieceElements / std::max<std::int64_t>(1, e));
}

// Takes arrays of floats from a kernel's scratch, each at a multiple of 64 bytes.
class ScratchFloats {
 public:
  explicit ScratchFloats(std::span<std::byte> bytes) : bytes_(bytes) {}
  static constexpr std::int64_t bytes(std::int64_t floats) { return ceil_div(floats, 16) * 64; }
  float* take(std::int64_t floats) {
    const auto taken = bytes_.first(std::size_t(bytes(floats)));
    bytes_ = bytes_.subspan(taken.size());
    return reinterpret_cast<float*>(taken.data());
  }
  std::byte* rest() const { return bytes_.data(); }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace autarky::cpu
