// What is kept of a value instead of the value: a hash of its bits and its size, so made that those
// of the parts add up to those of the whole, however it is cut.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "backend/kernel_table.h"
#include "ir/part.h"

namespace autarky {

// Written to files as it lies: 64 bytes.
struct ValueSummary {
  std::uint64_t hash = 0;       // sum over the elements of a hash of (index in the whole, bits)
  double squares = 0;           // sum of squares, as the rest of those that are finite
  std::array<double, 4> lot{};  // sums with signs drawn by lot for each index: see distance()
  float least = std::numeric_limits<float>::infinity();
  float greatest = -std::numeric_limits<float>::infinity();
  std::uint32_t bad = 0;      // elements that are infinite or NaN
  std::uint32_t present = 0;  // elements, modulo 2^32
};
static_assert(sizeof(ValueSummary) == 64);

// Of this rank's part, whose elements lie in the whole as `runs` says. The same bits for any number
// of threads.
ValueSummary summarize(const Tensor& part, std::span<const Stretch> runs);

// The number that an exact sum is, if the tensor is one's digits (ops/exact_sum.h): summaries and
// distances are of it, hashes of the digits.
std::optional<double> exact_sum_of(const Tensor& t);

// Of two parts of one whole.
ValueSummary operator+(ValueSummary a, const ValueSummary& b);

// |a - b| / the larger of |a| and |b|, Euclidean norms, within about a third: a square of the
// difference of two sums with random signs is, on average, the square of the norm of the difference
// (Alon, Matias, Szegedy, 1996). Infinite where other elements are not finite. 0 to 2.
double distance(const ValueSummary& a, const ValueSummary& b);

}  // namespace autarky
