// autodiff: a block's forward graph becomes its joint graph: forward nodes, then the backward ones.
#pragma once
#include "ir/graph.h"

namespace autarky {

// Adds, for every activation or loss output y, an input "d<y>" (its gradient, of y's type, or of
// the loss's element type), and outputs "d<x>" for every floating activation input x and "grad.<p>"
// for every parameter p. Each "grad.<p>" is added into an accumulator: input and output of kind
// grad with the parameter's dims in f32 (f64 in an f64 block). Gradients of a value used twice are
// added in the order of its uses.
Graph differentiate(const Graph& forward);

}  // namespace autarky
