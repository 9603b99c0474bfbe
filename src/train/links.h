// How fast the ranks of a run reach each other, for the simulator.
#pragma once
#include "comm/comm.h"
#include "sim/chip.h"

namespace autarky {

// Fills in the links of `chip` from all-reduces that all ranks do at once; all get rank 0's
// figures. On one rank, where there is nothing to measure: those of ranks that share this machine's
// memory, at four passes over it for each byte.
void measure_links(Comm& comm, ChipModel& chip);

}  // namespace autarky
