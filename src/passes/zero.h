// ZeRO (Rajbhandari et al., 2020) as layouts: what every data-parallel rank would hold alike is
// laid out flat over dp. Stage 1: masters and moments; 2: the gradients' accumulators too; 3: and
// the parameters. What has less than a block (ir/type.h) for every rank stays as it is.
#pragma once
#include "passes/program.h"

namespace autarky {

// The axes over which stage `stage` lays out masters, moments and the reduced gradient of a
// parameter of that type; empty: none.
std::vector<Axis> zero_axes(int stage, const Type& param, const Mesh& mesh);

// Stage 2: gradients are reduced as they are made, and added up in flat accumulators. The sums over
// ranks come before those over micro-batches: another order than stages 0 and 1 have.
void shard_gradients(Graph& joint, const Mesh& mesh);

// Stage 3: parameters lie flat. Before a call that needs some whole comes one that gathers them, as
// early as the call before that needs parameters, beside whose work they arrive: two such sets are
// there at a time.
void gather_ahead(Program& program);

}  // namespace autarky
