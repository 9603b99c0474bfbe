// fuse: replaces what several nodes say by one operation that says the same.
#pragma once
#include "ir/graph.h"

namespace autarky {

// accumulate(a, f(..)) where f can add into an accumulator: one node.
// vocab_stats, token_loss and their gradients in one block: linear_cross_entropy; where ranks talk
// in between, the logits are kept.
void fuse(Graph& graph);

}  // namespace autarky
