#include "models/flops.h"

#include <algorithm>

#include "models/parameters.h"

namespace autarky {

ForwardFlops forward_flops_per_token(const ModelConfig& c, std::int64_t seq) {
  ForwardFlops flops{0, c.tied_embeddings ? 2 * double(c.vocab * c.hidden) : 0};
  // The matrices that a token is multiplied with.
  for (const auto& p : parameters(c))
    if (p.weight_decay && p.block != ParameterBlock::embed)
      (p.block == ParameterBlock::layer ? flops.layer : flops.head) += 2 * double(p.count());
  // Keys that a token sees, averaged: all before it, or those of its window.
  const double t = double(seq), w = c.window > 0 ? std::min(double(c.window), t) : t;
  const double keys = w * (1 - w / (2 * t));
  flops.layer += 4 * keys * double(c.heads * c.head_dim);
  return flops;
}

double model_flops_per_token(const ModelConfig& c, std::int64_t seq) {
  const ForwardFlops flops = forward_flops_per_token(c, seq);
  return 3 * (flops.layer * double(c.layers) + flops.head);
}

}  // namespace autarky
