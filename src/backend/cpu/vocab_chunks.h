// Products with the output projection, a chunk of tokens at a time: logits of a chunk lie in the
// kernel's scratch, those of a whole batch nowhere.
#pragma once
#include "backend/cpu/gemm.h"
#include "backend/cpu/vocab_rows.h"
#include "backend/kernel_table.h"

namespace autarky::cpu {

// x [tokens e], w [v e], of which `v` rows are no padding; chunks of equal size from the shape
// alone.
struct VocabShape {
  std::int64_t tokens, e, v;
  DType dtype;          // of x, w and of what is stored of a chunk
  std::int64_t chunk;   // tokens
  std::int64_t stride;  // of a row of a chunk
  std::int64_t blocks;  // of kVocabBlock

  VocabShape(const Type& x, const Type& w) : VocabShape(x, w, w.dims[0].extent) {}
  VocabShape(const Type& x, const Type& w, std::int64_t v);
  std::int64_t scratch_bytes() const;
};

// Tokens [first, first + count).
struct TokenRange {
  std::int64_t first, count;
};

// The memory of a chunk, in the kernel's scratch.
class VocabChunk {
 public:
  VocabChunk(const VocabShape& shape, std::span<std::byte> scratch);

  VocabBlocks blocks(std::int64_t row) const;  // statistics of a row of the chunk
  float& target_logit(std::int64_t row) const { return targets_[row]; }
  std::byte* row(std::int64_t row) const;  // [v]

  // Rows = x w^T, after `epilogue`.
  void multiply(const Tensor& x, const Tensor& w, TokenRange tokens,
                const GemmEpilogue& epilogue) const;
  // Rows become exponentials by block, with their statistics; target_logit is set for the tokens
  // whose target (less `origin`) is a row of w. `kept`: the logits, [tokens, row of w] of the
  // batch.
  void exponentials(const KernelArgs& args, TokenRange tokens, std::int64_t origin,
                    float* kept = nullptr) const;
  // dx = rows w, dw (+)= rows^T x
  void gradients(const KernelArgs& args, TokenRange tokens, bool accumulate) const;

 private:
  VocabShape shape_;
  float *targets_, *stats_;
  std::byte* rows_;
};

inline void store_element(float x, DType dtype, std::byte* row, std::int64_t i) {
  if (dtype == DType::f32) reinterpret_cast<float*>(row)[i] = x;
  else reinterpret_cast<bf16*>(row)[i] = bf16(x);
}

// body(tokens) for every chunk, in order.
template <class Body>
void each_chunk(const VocabShape& shape, const Body& body) {
  for (std::int64_t first = 0; first < shape.tokens; first += shape.chunk)
    body(TokenRange{first, std::min(shape.chunk, shape.tokens - first)});
}

}  // namespace autarky::cpu
