// Model FLOPs, defined once: docs/formats/flops.md.
#pragma once
#include "models/config.h"

namespace autarky {

// Of one token's forward pass in sequences of `seq` tokens: each layer, and the output projection.
struct ForwardFlops {
  double layer, head;
};
ForwardFlops forward_flops_per_token(const ModelConfig& config, std::int64_t seq);

// Of one token's forward and backward pass in sequences of `seq` tokens: 2 per multiply-add of
// every matrix product the model needs, causal attention at half and within the window, backward
// twice the forward, recomputation not counted, embedding look-ups free.
double model_flops_per_token(const ModelConfig& config, std::int64_t seq);

}  // namespace autarky
