#include "conformance/shards.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace autarky {
namespace {

// Index of the dim that a letter of the rule is bound to, or -1.
int dim_of(const std::vector<RuleDim>& dims, char letter) {
  for (std::size_t d = 0; d < dims.size(); ++d)
    if (dims[d].name == letter) return int(d);
  return -1;
}

// The elements of a tensor by halves of a dim: calls body(index in the whole, half, index in it).
template <class Body>
void each_half(const Type& whole, int dim, Body&& body) {
  std::int64_t inner = 1;
  for (auto d = std::size_t(dim) + 1; d < whole.dims.size(); ++d) inner *= whole.dims[d].extent;
  const std::int64_t extent = whole.dims[std::size_t(dim)].extent, half = extent / 2;
  for (std::int64_t i = 0; i < whole.elements(); ++i) {
    const std::int64_t outer = i / (inner * extent), at = i / inner % extent;
    body(std::size_t(i), std::size_t(at / half),
         std::size_t((outer * half + at % half) * inner + i % inner));
  }
}

Type half_type(Type type, int dim) {
  if (dim >= 0) type.dims[std::size_t(dim)].extent /= 2;
  return type;
}

std::vector<Values> halves(const Values& values, const Type& whole, int dim) {
  std::vector<Values> parts(2, Values(values.size() / 2));
  each_half(whole, dim, [&](auto i, auto half, auto at) { parts[half][at] = values[i]; });
  return parts;
}

std::vector<Values> two_summands(const Values& values) {
  std::vector<Values> parts = {normal_values(std::int64_t(values.size()), 1001), values};
  for (std::size_t i = 0; i < values.size(); ++i) parts[1][i] -= parts[0][i];
  return parts;
}

double combine(Combine how, double a, double b) {
  switch (how) {
    case Combine::max:
      return std::max(a, b);
    case Combine::lse:
      return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
    default:
      return a + b;  // of `one`, all but one are zero
  }
}

}  // namespace

std::vector<char> splittable_letters(const Instance& x) {
  const DimRule rule = x.op->rule(x.attrs, x.in);
  const Extents extents = bind_extents(rule, x.in);
  std::vector<char> letters;
  for (char letter : rule.letters())
    if (!rule.is_whole(letter) && extents.at(letter) % 2 == 0) letters.push_back(letter);
  return letters;
}

std::vector<Instance> shards(const Instance& x, char letter) {
  const DimRule rule = x.op->rule(x.attrs, x.in);
  const std::int64_t half = bind_extents(rule, x.in).at(letter) / 2;
  const auto aliases = x.op->aliases(x.attrs, x.in.size());
  std::vector<Instance> parts(2, x);
  for (std::size_t i = 0; i < x.in.size(); ++i) {
    const int dim = dim_of(rule.in[i], letter);
    const bool accumulator = std::find(aliases.begin(), aliases.end(), int(i)) != aliases.end();
    if (dim < 0 && !accumulator) continue;
    const auto values = dim < 0 ? two_summands(x.values[i]) : halves(x.values[i], x.in[i], dim);
    for (std::size_t p = 0; p < 2; ++p) {
      parts[p].in[i] = half_type(x.in[i], dim);
      parts[p].values[i] = values[p];
    }
  }
  for (std::size_t p = 0; p < 2; ++p) {
    for (std::size_t o = 0; o < x.out.size(); ++o)
      parts[p].out[o] = half_type(x.out[o], dim_of(rule.out[o], letter));
    parts[p].origins[letter] = half * std::int64_t(p);
    parts[p].label += fmt::format(", half {} of {}", p, letter);
  }
  return parts;
}

std::vector<Values> joined(const Instance& x, char letter,
                           const std::vector<std::vector<Values>>& outputs) {
  const DimRule rule = x.op->rule(x.attrs, x.in);
  std::vector<Values> whole;
  for (std::size_t o = 0; o < x.out.size(); ++o) {
    Values values(std::size_t(x.out[o].elements()));
    const int dim = dim_of(rule.out[o], letter);
    if (dim < 0) {
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = combine(rule.combine[o], outputs[0][o][i], outputs[1][o][i]);
    } else {
      each_half(x.out[o], dim,
                [&](auto i, auto half, auto at) { values[i] = outputs[half][o][at]; });
    }
    whole.push_back(std::move(values));
  }
  return whole;
}

std::vector<Instance> partial_parts(const Instance& x, const std::vector<int>& group) {
  std::vector<Instance> parts(2, x);
  for (int i : group) {
    const auto values = two_summands(x.values[std::size_t(i)]);
    for (std::size_t p = 0; p < 2; ++p) parts[p].values[std::size_t(i)] = values[p];
  }
  return parts;
}

}  // namespace autarky
