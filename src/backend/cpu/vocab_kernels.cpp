// vocab_stats and vocab_stats_grad: the loss over a slice of the vocabulary.
#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/supports.h"
#include "backend/cpu/vocab_chunks.h"
#include "ops/cross_entropy.h"

namespace autarky::cpu {
namespace {

void launch_stats(const VocabStats::Attrs&, const KernelArgs& args) {
  const VocabShape shape(*args.in[0].type, *args.in[1].type);
  const VocabChunk chunk(shape, args.scratch);
  const std::int64_t origin = args.origin('v');
  const auto* targets = args.in[2].as<const std::int32_t>();
  each_chunk(shape, [&](TokenRange tokens) {
    chunk.exponentials(args, tokens, origin);
    parallel_for(tokens.count, [&](std::int64_t row, int) {
      const std::int64_t token = tokens.first + row, target = targets[token] - origin;
      const bool here = targets[token] >= 0 && target >= 0 && target < shape.v;
      args.out[0].as<float>()[token] = log_sum_exp(chunk.blocks(row), shape.blocks);
      args.out[1].as<float>()[token] = here ? chunk.target_logit(row) : 0;
    });
  });
}

// dlogit[v] = d_lse exp(logit - lse) + d_target [v = target]
void launch_grad(const VocabStatsGrad::Attrs&, const KernelArgs& args) {
  const VocabShape shape(*args.in[0].type, *args.in[1].type);
  const VocabChunk chunk(shape, args.scratch);
  const std::int64_t origin = args.origin('v');
  const auto* targets = args.in[2].as<const std::int32_t>();
  const float *lse = args.in[3].as<const float>(), *d_lse = args.in[4].as<const float>();
  const float* d_target = args.in[5].as<const float>();
  each_chunk(shape, [&](TokenRange tokens) {
    chunk.multiply(args.in[0], args.in[1], tokens, [&](const GemmTile& tile) {
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        const std::int64_t token = tokens.first + tile.row0 + i;
        const std::int64_t column = targets[token] - origin - tile.col0;
        float* logits = tile.values + i * tile.ld;
        scaled_softmax(d_lse[token], lse[token], tile.cols, logits);
        if (targets[token] >= 0 && column >= 0 && column < tile.cols)
          logits[column] += d_target[token];
      }
    });
    chunk.gradients(args, tokens, tokens.first > 0);
  });
}

std::int64_t scratch_bytes(Types in) { return VocabShape(in[0], in[1]).scratch_bytes(); }

Support supports_inputs(Types in) {
  return first_refusal({wants_storage(in[0], "x"), wants_same(in[1], in[0], "w"),
                        wants(in[2], DType::i32, "targets")});
}

}  // namespace

void add_vocab_kernels(KernelTable& table) {
  table.add<VocabStats>(TypedKernel<VocabStats>{
      "chunks of tokens", [](const auto&, Types in, Types) { return supports_inputs(in); },
      launch_stats, [](const auto&, Types in, Types) { return scratch_bytes(in); }});
  table.add<VocabStatsGrad>(TypedKernel<VocabStatsGrad>{
      "chunks of tokens",
      [](const auto&, Types in, Types out) {
        return first_refusal({supports_inputs(in), wants(in[3], DType::f32, "lse"),
                              wants(in[4], DType::f32, "d_lse"),
                              wants(in[5], DType::f32, "d_target"),
                              wants(out[1], DType::f32, "dw")});
      },
      launch_grad, [](const auto&, Types in, Types) { return scratch_bytes(in); }});
}

}  // namespace autarky::cpu
