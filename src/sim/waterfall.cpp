#include "sim/waterfall.h"

#include "ops/attention.h"
#include "ops/contract.h"
#include "ops/cross_entropy.h"

namespace autarky {

std::vector<WaterfallPart> waterfall(std::span<const NodeTime> ops, double step_s,
                                     double model_flops, const ChipModel& chip, DType products) {
  const double peak = chip.peak(products);
  double flops_s = 0, memory_s = 0, kernels_s = 0;
  double products_s = 0, attention_s = 0, others_s = 0;  // beyond the roofline
  const auto beyond_of = [&](std::string_view op) -> double& {
    if (op == Contract::name || op == LinearCrossEntropy::name) return products_s;
    return op == Attention::name || op == AttentionGrad::name ? attention_s : others_s;
  };
  for (const auto& op : ops) {
    const double least = op.cost.flops / peak, roofline = chip.roofline_s(op.cost, products);
    flops_s += least;
    memory_s += roofline - least;
    kernels_s += op.seconds;
    beyond_of(op.op) += op.seconds - roofline;
  }
  const double ideal = model_flops / peak;
  return {{"the model's FLOPs at the peak", ideal},
          {"FLOPs beyond the model's", flops_s - ideal},
          {"memory traffic", memory_s},
          {"matrix products beyond their roofline", products_s},
          {"attention beyond its roofline", attention_s},
          {"other kernels beyond their roofline", others_s},
          {"between kernels", step_s - kernels_s}};
}

}  // namespace autarky
