#include "models/flops.h"

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
  const double attention =
      2 * double(seq) * double(c.heads * c.head_dim) * double(c.layers);  // 4 s h d / 2
  return 3 * (2 * weights + attention);
}

}  // namespace autarky
