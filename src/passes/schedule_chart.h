// A pipeline's schedule as a picture: one row per stage, time to the right, in the units of
// time_slots.
#pragma once
#include <string>

#include "passes/schedule.h"

namespace autarky {

// The share of all stages' time in which they have nothing to do.
double idle_share(const Schedule& schedule);

// "zero-bubble: 4 stages, 8 micro-batches, 27 units, 11.1% idle", then a line like
// "stage 0  F0 F1 .  B0 W0" per stage. F forward, B backward, W weights, with the micro-batch, and
// the chunk after a dot where stages have several; a slot of two units stands twice.
std::string print_schedule(const Schedule& schedule);

// The same as an SVG element; each slot has its name as tooltip.
std::string draw_schedule(const Schedule& schedule);

}  // namespace autarky
