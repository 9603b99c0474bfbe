// Measures the local chip and writes its data sheet.
#pragma once
#include <functional>

#include "backend/backend.h"
#include "sim/chip_sheet.h"

namespace autarky {

struct ChipBenchOptions {
  bool quick = false;  // few shapes and sizes: seconds
  std::function<void(int done, int total)> progress = [](int, int) {};  // after each part
};

// Products over a grid of shapes, memory, collectives between two ranks that share the machine over
// sizes, and products beside an all-reduce. Takes a minute; every figure has the mark
// `measured`. On a busy machine the figures are those of the busy machine.
ChipSheet bench_chip(const Backend& backend, const ChipBenchOptions& options);

}  // namespace autarky
