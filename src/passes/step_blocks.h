// The blocks of a step that do not come from the model: gradient reduction, norm, optimizer.
#pragma once
#include <vector>

#include "passes/compile.h"

namespace autarky {

struct ParamPort {
  std::string name;  // of the parameter's port
  Type param, grad;  // with layouts
  Type state;        // of the reduced gradient, the master and the moments
  bool decayed;
};

// B of a micro-batch that opens a lane: its gradients are not added but written.
Graph without_accumulation(const Graph& backward);

// The head's losses per token become a sum of digits over micro-batches.
void sum_losses(Graph& head);
// One send or receive of `type` at a stage's border; step: Send::Attrs.
Graph movement_block(const std::string& name, const Type& type, bool send, std::int64_t step);

// grad.<p> = grad.<p> + right.<p>: two lanes' sums become one.
Graph combine_block(const std::vector<ParamPort>& params);
// reduced.<p> = grad.<p> with its partials resolved (data parallel and others), in the state's
// layout, in place.
Graph reduce_block(const std::vector<ParamPort>& params);
// grad.<to> += grad.<from>, both reduced: the second use of a tied parameter.
Graph tie_block(const Type& state);
// digits.<axes> += squares of every gradient, by the axes that split it.
Graph norm_block(const std::vector<ParamPort>& params, bool pipelined);
// loss.digits and digits.* summed over all ranks; clip = factor (NaN: skip the update), norm.
Graph finish_block(const std::vector<Port>& digits, const std::vector<Type>& types,
                   const Type& loss_digits, double max_norm, DType dtype);
// Zeroes digits.
Graph zero_block(const std::vector<std::pair<std::string, Type>>& values);
// AdamW for every parameter of a block.
Graph optimizer_block(const std::vector<ParamPort>& params, const OptimizerOptions& options);

std::string digits_port(const Type& state);  // "digits", "digits.tp", ...
Type digits_type(const Type& state, bool pipelined);

}  // namespace autarky
