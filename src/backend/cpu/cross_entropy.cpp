// linear_cross_entropy: loss and gradients in one pass over chunks of tokens.
#include "ops/cross_entropy.h"

#include <cstring>

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/supports.h"
#include "backend/cpu/vocab_chunks.h"

namespace autarky::cpu {
namespace {

// Row of exponentials -> d_loss (softmax - onehot), and the loss.
void finish_row(const VocabShape& shape, const VocabChunk& chunk, const KernelArgs& args,
                std::int64_t token, std::int64_t row) {
  const std::int64_t target = args.in[2].as<const std::int32_t>()[token];
  float& loss = args.out[0].as<float>()[token];
  std::byte* values = chunk.row(row);
  loss = 0;
  if (target < 0 || target >= shape.v) {
    std::memset(values, 0, std::size_t(shape.v * byte_size(shape.dtype)));
    return;
  }
  const float lse = log_sum_exp(chunk.blocks(row), shape.blocks);
  const float d_loss = args.in[3].as<const float>()[token], logit = chunk.target_logit(row);
  loss = lse - logit;
  softmax_from_blocks(chunk.blocks(row), d_loss, lse, shape.dtype, shape.v, values);
  store_element(d_loss * std::expm1(logit - lse), shape.dtype, values, target);
}

void launch(const LinearCrossEntropy::Attrs& a, const KernelArgs& args) {
  const VocabShape shape(*args.in[0].type, *args.in[1].type);
  const VocabChunk chunk(shape, args.scratch);
  each_chunk(shape, [&](TokenRange tokens) {
    chunk.exponentials(args, tokens, 0);
    parallel_for(tokens.count, [&](std::int64_t row, int) {
      finish_row(shape, chunk, args, tokens.first + row, row);
    });
    chunk.gradients(args, tokens, a.accumulate || tokens.first > 0);
  });
}

Support supports(const LinearCrossEntropy::Attrs& a, Types in, Types out) {
  return first_refusal({wants_storage(in[0], "x"), wants_same(in[1], in[0], "w"),
                        wants(in[2], DType::i32, "targets"), wants(in[3], DType::f32, "d_loss"),
                        a.accumulate ? wants(in[4], DType::f32, "the accumulator") : Support{},
                        wants(out[2], DType::f32, "dw")});
}

}  // namespace

void add_cross_entropy_kernels(KernelTable& table) {
  table.add<LinearCrossEntropy>(TypedKernel<LinearCrossEntropy>{
      "chunks of tokens", supports, launch,
      [](const auto&, Types in, Types) { return VocabShape(in[0], in[1]).scratch_bytes(); }});
}

}  // namespace autarky::cpu
