#include "backend/cpu/vocab_chunks.h"

#include <algorithm>

#include "backend/cpu/pieces.h"
#include "base/error.h"

namespace autarky::cpu {
namespace {

// Large chunks read and write dw less often; small ones need less memory.
constexpr std::int64_t kChunkElements = std::int64_t(64) << 20, kMaxChunk = 1024, kMinChunk = 64;

std::int64_t chunk_tokens(std::int64_t tokens, std::int64_t v) {
  const std::int64_t most =
      std::clamp(kChunkElements / std::max<std::int64_t>(v, 1), kMinChunk, kMaxChunk);
  return std::max<std::int64_t>(
      1, ceil_div(tokens, std::max<std::int64_t>(1, ceil_div(tokens, most))));
}

// An odd multiple of 32 elements: rows of a chunk do not fall on the same cache lines.
std::int64_t row_stride(std::int64_t v) { return ceil_div(v, 32) / 2 * 64 + 32; }

}  // namespace

VocabShape::VocabShape(const Type& x, const Type& w, std::int64_t rows)
    : tokens(x.dims[0].extent * x.dims[1].extent),
      e(x.dims[2].extent),
      v(rows),
      dtype(x.dtype),
      chunk(chunk_tokens(tokens, w.dims[0].extent)),
      stride(row_stride(w.dims[0].extent)),
      blocks(ceil_div(v, kVocabBlock)) {}

std::int64_t VocabShape::scratch_bytes() const {
  return ScratchFloats::bytes(chunk) + ScratchFloats::bytes(2 * chunk * blocks) +
         chunk * stride * byte_size(dtype);
}

VocabChunk::VocabChunk(const VocabShape& shape, std::span<std::byte> scratch) : shape_(shape) {
  ScratchFloats floats(scratch);
  targets_ = floats.take(shape.chunk);
  stats_ = floats.take(2 * shape.chunk * shape.blocks);
  rows_ = floats.rest();
}

VocabBlocks VocabChunk::blocks(std::int64_t row) const {
  float* max = stats_ + 2 * row * shape_.blocks;
  return {max, max + shape_.blocks};
}

std::byte* VocabChunk::row(std::int64_t row) const {
  return rows_ + row * shape_.stride * byte_size(shape_.dtype);
}

void VocabChunk::multiply(const Tensor& x, const Tensor& w, TokenRange tokens,
                          const GemmEpilogue& epilogue) const {
  const std::byte* first = x.data + tokens.first * shape_.e * byte_size(shape_.dtype);
  gemm({tokens.count, shape_.v, shape_.e}, {first, shape_.dtype, shape_.e, 1},
       {w.data, shape_.dtype, 1, shape_.e}, {rows_, shape_.dtype, shape_.stride}, epilogue);
}

void VocabChunk::exponentials(const KernelArgs& args, TokenRange tokens, std::int64_t origin,
                              float* kept) const {
  const std::int64_t row = args.in[1].extent(0);
  const auto* targets = args.in[2].as<const std::int32_t>() + tokens.first;
  multiply(args.in[0], args.in[1], tokens, [&](const GemmTile& tile) {
    AUTARKY_CHECK(tile.col0 % kVocabBlock == 0, "tiles begin at whole blocks");
    const std::int64_t block = tile.col0 / kVocabBlock;
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      const std::int64_t r = tile.row0 + i, column = targets[r] - origin - tile.col0;
      float* logits = tile.values + i * tile.ld;
      if (targets[r] >= 0 && column >= 0 && column < tile.cols) targets_[r] = logits[column];
      if (kept) std::copy_n(logits, tile.cols, kept + (tokens.first + r) * row + tile.col0);
      const VocabBlocks whole = blocks(r);
      exp_by_block(logits, tile.cols, {whole.max + block, whole.sum + block});
    }
  });
}

void VocabChunk::gradients(const KernelArgs& args, TokenRange tokens, bool accumulate) const {
  const std::int64_t e = shape_.e, start = tokens.first * e * byte_size(shape_.dtype);
  gemm({tokens.count, e, shape_.v}, {rows_, shape_.dtype, shape_.stride, 1},
       {args.in[1].data, shape_.dtype, e, 1},
       {args.out[args.out.size() - 2].data + start, shape_.dtype, e});
  gemm({shape_.v, e, tokens.count}, {rows_, shape_.dtype, 1, shape_.stride},
       {args.in[0].data + start, shape_.dtype, e, 1},
       {args.out.back().data, DType::f32, e, accumulate});
}

}  // namespace autarky::cpu
