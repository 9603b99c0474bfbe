// memory: places every buffer and every value inside a block before anything runs.
#pragma once
#include "passes/program.h"

namespace autarky {

// Bytes of scratch that a node's kernel asks for, from its local types.
using ScratchBytes = std::function<std::int64_t(const Node&, Types in, Types out)>;

inline constexpr std::int64_t kMemoryAlign = 64;  // bytes: offsets are multiples of it

// Static buffers lie one after the other. Buffers with lifetimes share slots: of each size class
// the least number, by greedy colouring of the interval graph. Values inside a block lie in its
// frame; blocks run one at a time, so the largest frame serves all.
void plan_memory(Program& program, const ScratchBytes& scratch);

}  // namespace autarky
