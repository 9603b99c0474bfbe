// The only list of operations. Parser, printer, conformance suite and kernel tables walk it.
#pragma once
#include <string_view>

#include "ops/accumulate.h"
#include "ops/adamw.h"
#include "ops/add.h"
#include "ops/add_bias.h"
#include "ops/attention.h"
#include "ops/cache.h"
#include "ops/contract.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/exact_sum.h"
#include "ops/fill.h"
#include "ops/gates.h"
#include "ops/gelu_erf.h"
#include "ops/layer_norm.h"
#include "ops/movement.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"

namespace autarky {

template <Operation... Ops>
struct OpList {
  template <class F>
  static void each(F&& f) {
    (f.template operator()<Ops>(), ...);
  }
};

using Catalog =
    OpList<Accumulate, AdamW, Add, AddBias, AllGather, AllReduce, AllToAll, Attention,
           AttentionGrad, BiasGrad, CacheAppend, ClipScale, Contract, Embedding, EmbeddingGrad,
           ExactSum, FillWith, Gelu, GeluErf, GeluErfGrad, GeluGrad, LayerNorm, LayerNormGrad,
           LinearCrossEntropy, Receive, ReduceScatter, RmsNorm, RmsNormGrad, Rope, Send, SiluGate,
           SiluGateGrad, Slice, Take, TokenLoss, TokenLossGrad, VocabStats, VocabStatsGrad>;

// The operation of that name, or null.
inline const OpInfo* find_op(std::string_view name) {
  const OpInfo* found = nullptr;
  Catalog::each([&]<Operation Op>() {
    if (Op::name == name) found = &op_info<Op>();
  });
  return found;
}

}  // namespace autarky
