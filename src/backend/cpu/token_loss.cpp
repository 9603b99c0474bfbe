// token_loss and token_loss_grad: a few numbers per token.
#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/supports.h"
#include "ops/cross_entropy.h"

namespace autarky::cpu {
namespace {

void token_loss(const Piece& p) {
  const float *lse = p.input<float>(0), *logit = p.input<float>(1);
  const auto* target = p.input<std::int32_t>(2);
  float* loss = p.output<float>(0);
  for (std::int64_t t = 0; t < p.n; ++t) loss[t] = target[t] < 0 ? 0 : lse[t] - logit[t];
}

void token_loss_grad(const Piece& p) {
  const float* d_loss = p.input<float>(0);
  const auto* target = p.input<std::int32_t>(1);
  float *d_lse = p.output<float>(0), *d_target = p.output<float>(1);
  for (std::int64_t t = 0; t < p.n; ++t) {
    d_lse[t] = target[t] < 0 ? 0 : d_loss[t];
    d_target[t] = -d_lse[t];
  }
}

}  // namespace

void add_token_loss_kernels(KernelTable& table) {
  table.add<TokenLoss>(TypedKernel<TokenLoss>{
      "loops",
      [](const auto&, Types in, Types) {
        return first_refusal({wants(in[0], DType::f32, "lse"),
                              wants(in[1], DType::f32, "the target's logit"),
                              wants(in[2], DType::i32, "targets")});
      },
      [](const auto&, const KernelArgs& x) { parallel_pieces(x, token_loss); },
      {}});
  table.add<TokenLossGrad>(TypedKernel<TokenLossGrad>{
      "loops",
      [](const auto&, Types in, Types) {
        return first_refusal(
            {wants(in[0], DType::f32, "d_loss"), wants(in[1], DType::i32, "targets")});
      },
      [](const auto&, const KernelArgs& x) { parallel_pieces(x, token_loss_grad); },
      {}});
}

}  // namespace autarky::cpu
