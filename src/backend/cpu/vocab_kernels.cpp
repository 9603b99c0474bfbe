// vocab_stats and vocab_stats_grad: the loss over a slice of the vocabulary.
#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/supports.h"
#include "backend/cpu/vocab_chunks.h"
#include "ops/cross_entropy.h"

namespace autarky::cpu {
namespace {

VocabShape shape_of(const KernelArgs& args) {
  const Type& w = *args.in[1].type;
  return {*args.in[0].type, w, args.count(w.dims[0])};
}

void launch_stats(const VocabStats::Attrs& a, const KernelArgs& args) {
  const VocabShape shape = shape_of(args);
  const VocabChunk chunk(shape, args.scratch);
  const std::int64_t origin = args.origin('v');
  const auto* targets = args.in[2].as<const std::int32_t>();
  float* kept = a.keep ? args.out[2].as<float>() : nullptr;
  const std::int64_t room = args.in[1].extent(0);  // of the vocabulary, with padding
  each_chunk(shape, [&](TokenRange tokens) {
    chunk.exponentials(args, tokens, origin, kept);
    parallel_for(tokens.count, [&](std::int64_t row, int) {
      const std::int64_t token = tokens.first + row, target = targets[token] - origin;
      const bool here = targets[token] >= 0 && target >= 0 && target < shape.v;
      args.out[0].as<float>()[token] =
          shape.v > 0 ? log_sum_exp(chunk.blocks(row), shape.blocks) : -INFINITY;
      args.out[1].as<float>()[token] = here ? chunk.target_logit(row) : 0;
      if (kept) std::fill(kept + token * room + shape.v, kept + (token + 1) * room, 0.0f);
    });
  });
}

// dlogit[v] = d_lse exp(logit - lse) + d_target [v = target], of logits made again or kept.
class StatsGrad {
 public:
  StatsGrad(const VocabStatsGrad::Attrs& a, const KernelArgs& args)
      : args_(args),
        kept_(a.kept ? args.in[6].as<const float>() : nullptr),
        shape_(shape_of(args)),
        chunk_(shape_, args.scratch) {}

  void run() const {
    float* dw = args_.out[1].as<float>();
    std::fill(dw + shape_.v * shape_.e, dw + args_.out[1].elements(), 0.0f);  // padding
    each_chunk(shape_, [&](TokenRange tokens) {
      if (kept_) from_kept(tokens);
      else made_again(tokens);
      chunk_.gradients(args_, tokens, tokens.first > 0);
    });
  }

 private:
  float value(std::size_t input, std::int64_t token) const {
    return args_.in[input].as<const float>()[token];
  }
  // The target's column among `cols` from `col0`, or -1.
  std::int64_t column(std::int64_t token, std::int64_t col0, std::int64_t cols) const {
    const std::int64_t target = args_.in[2].as<const std::int32_t>()[token];
    const std::int64_t c = target - args_.origin('v') - col0;
    return target >= 0 && c >= 0 && c < cols ? c : -1;
  }

  void made_again(TokenRange tokens) const {
    chunk_.multiply(args_.in[0], args_.in[1], tokens, [&](const GemmTile& tile) {
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        const std::int64_t token = tokens.first + tile.row0 + i;
        float* logits = tile.values + i * tile.ld;
        scaled_softmax(value(4, token), value(3, token), tile.cols, logits, DType::f32, logits);
        if (const auto c = column(token, tile.col0, tile.cols); c >= 0)
          logits[c] += value(5, token);
      }
    });
  }

  void from_kept(TokenRange tokens) const {
    parallel_for(tokens.count, [&](std::int64_t r, int) {
      const std::int64_t token = tokens.first + r;
      const float* logits = kept_ + token * args_.in[1].extent(0);
      const float scale = value(4, token), lse = value(3, token);
      scaled_softmax(scale, lse, shape_.v, logits, shape_.dtype, chunk_.row(r));
      if (const auto c = column(token, 0, shape_.v); c >= 0)
        store_element(scale * std::exp(logits[c] - lse) + value(5, token), shape_.dtype,
                      chunk_.row(r), c);
    });
  }

  const KernelArgs& args_;
  const float* kept_;
  VocabShape shape_;
  VocabChunk chunk_;
};

void launch_grad(const VocabStatsGrad::Attrs& a, const KernelArgs& args) {
  StatsGrad(a, args).run();
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
      [](const auto& a, Types in, Types out) {
        return first_refusal(
            {supports_inputs(in), a.kept ? wants(in[6], DType::f32, "logits") : Support{},
             wants(in[3], DType::f32, "lse"), wants(in[4], DType::f32, "d_lse"),
             wants(in[5], DType::f32, "d_target"), wants(out[1], DType::f32, "dw")});
      },
      launch_grad, [](const auto&, Types in, Types) { return scratch_bytes(in); }});
}

}  // namespace autarky::cpu
