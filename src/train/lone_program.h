// The part of a rank's program that is run when only its computation is to be timed.
#pragma once
#include <set>
#include <string>

#include "passes/memory.h"
#include "passes/program.h"

namespace autarky {

// The blocks of a program that compute, by name: the first of each name that is called.
std::set<std::string> computing_blocks(const Program& program);
// Whether its calls come once per step: norm, optimizer, sums over lanes.
bool is_update(const Program& program, const std::string& block);

// Of `program`, as it is after Pass::bucket, one call of each of `blocks`, with memory planned for
// them alone: what the calls left out would have made is data that the host fills, and what nobody
// uses any more takes no memory.
Program one_call_of_each(Program program, const std::set<std::string>& blocks,
                         const ScratchBytes& scratch);

}  // namespace autarky
