// The collectives that turn one layout of a value into another.
#pragma once
#include "ir/graph.h"

namespace autarky {

// Emits into `graph` what turns `v` into `wanted`, and returns the result. Partials that `wanted`
// does not have are resolved; whole <- split: all_gather; replicated <- partial: all_reduce; split
// <- partial: reduce_scatter; split <- split on another dim: all_to_all; split <- replicated:
// slice.
Value convert_layout(Graph& graph, Value v, const Layout& wanted, const std::string& source);

}  // namespace autarky
