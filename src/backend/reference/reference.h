// The reference backend: every operation by its definition, on f64 values.
#pragma once
#include "backend/backend.h"

namespace autarky {

std::unique_ptr<Backend> make_reference_backend();

// Adds each operation's definition as its last kernel, "reference".
void add_reference_kernels(KernelTable& table);

// Elements of a tensor as f64 values, and back (rounded to the element type).
std::vector<double> to_doubles(const Tensor& t);
void from_doubles(std::span<const double> values, const Tensor& t);

}  // namespace autarky
