// Runs a backend's kernel on an instance, in memory that is guarded on all sides.
#pragma once
#include "backend/backend.h"
#include "conformance/instance.h"

namespace autarky {

struct Launched {
  std::string kernel;
  std::vector<Values> out;
  std::vector<std::vector<std::byte>> bits;  // of the outputs
};

// The kernel that the backend's table chooses. Results that work in place share their input's
// memory, as in the runtime; scratch is exactly what the kernel asked for and holds NaNs, and so do
// the results. Reports, as test failures, bytes written outside and inputs that were changed.
Launched launch(const Backend& backend, const Instance& instance);

// How far a result may lie from the definition on the same inputs, as a part of the greatest
// value of the tensor: the coarsest element type that takes part decides.
double tolerance(const Instance& instance, std::size_t output);

// Reports a test failure if `found` is not `wanted` within `tolerance` of its greatest value.
// Infinities must be equal. Digits of an exact sum are compared by their value.
void expect_close(const Values& found, const Values& wanted, const Type& type, double tolerance,
                  const std::string& what);

}  // namespace autarky
