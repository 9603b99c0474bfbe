// The cpu backend: matrix products and attention on packed tiles, the rest in SIMD for the best
// instruction set of the processor it runs on; what it does not support runs by its definition.
#pragma once
#include "backend/backend.h"

namespace autarky {

std::unique_ptr<Backend> make_cpu_backend();

}  // namespace autarky
