#include "models/flops.h"

#include <algorithm>

#include "models/parameters.h"

namespace autarky {

double model_flops_per_token(const ModelConfig& c, std::int64_t seq) {
  double weights = 0;  // elements of the matrices that a token is multiplied with
  for (const auto& p : parameters(c)) {
    const bool matrix = p.weight_decay && p.block != ParameterBlock::embed;
    if (matrix)
      weights += double(p.count()) * (p.block == ParameterBlock::layer ? double(c.layers) : 1);
  }
  if (c.tied_embeddings) weights += double(c.vocab * c.hidden);
  // Keys that a token sees, averaged: all before it, or those of its window.
  const double t = double(seq), w = c.window > 0 ? std::min(double(c.window), t) : t;
  const double keys = w * (1 - w / (2 * t));
  const double attention = 4 * keys * double(c.heads * c.head_dim) * double(c.layers);
  return 3 * (2 * weights + attention);
}

}  // namespace autarky
