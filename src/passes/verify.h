// verify: what must hold of a program, checked after every pass. Error says what is broken, and
// names the program and the block or call.
#pragma once
#include <span>

#include "passes/program.h"

namespace autarky {

// All that holds after the passes up to program.after: the functions below, as far as they apply.
// ProgramBuilder::end_pass is the one place that calls it, the parser of texts apart.
void verify(const Program& program);

// After autodiff and partition: forward nodes read nothing that the backward makes; every gradient
// has an accumulator of its own type.
void verify_joint(const Graph& joint);
// After autodiff: nothing is split, partial or moved yet.
void verify_whole(const Graph& graph);
// After partition: an axis is used once, splits evenly and is in the mesh; every operation finds
// its dims split alike and leaves what its rule says; every movement changes what it says.
// Partials over pp are left out: the stages that have nothing to add hold zeros.
void verify_layouts(const Graph& graph, const Mesh& mesh);
// After recompute: forward blocks have no backward nodes, and keep what the backward reads; what
// the weights read is kept by one of the two.
void verify_cut(const Program& program);
// After schedule. Call i: its ports have buffers of their types, it waits for earlier calls only.
void verify_call(const Program& program, std::size_t i);
// Every call; nothing is read before it is made; what is kept is read; what another queue makes is
// waited for; backward and weights of a layer run in rising micro-batch order.
void verify_calls(const Program& program);
// After memory: every buffer lies in its part of the arena, those alive at the same time apart;
// every value and scratch lies in its block's frame, and every frame in the program's.
void verify_memory(const Program& program);

// The programs of all pipeline stages, in order: every send has its receive, of the same buffer,
// micro-batch and type; what one stage sends another arrives in that order; and the stages do not
// wait for each other in a circle.
void verify_stages(std::span<const Program> stages);

}  // namespace autarky
