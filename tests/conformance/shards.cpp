#include "conformance/shards.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "passes/partition.h"

namespace autarky {
namespace {

// Index of the dim that a letter of the rule is bound to, or -1.
int dim_of(const std::vector<RuleDim>& dims, char letter) {
  for (std::size_t d = 0; d < dims.size(); ++d)
    if (dims[d].name == letter) return int(d);
  return -1;
}

// The elements of a tensor by parts of a dim with room for `half`: calls body(index in the whole,
// part, index in it).
template <class Body>
void each_half(const Type& whole, int dim, std::int64_t half, Body&& body) {
  std::int64_t inner = 1;
  for (auto d = std::size_t(dim) + 1; d < whole.dims.size(); ++d) inner *= whole.dims[d].extent;
  const std::int64_t extent = whole.dims[std::size_t(dim)].extent;
  for (std::int64_t i = 0; i < whole.elements(); ++i) {
    const std::int64_t outer = i / (inner * extent), at = i / inner % extent;
    body(std::size_t(i), std::size_t(at / half),
         std::size_t((outer * half + at % half) * inner + i % inner));
  }
}

Type half_type(Type type, int dim, std::int64_t half) {
  if (dim >= 0) type.dims[std::size_t(dim)].extent = half;
  return type;
}

std::vector<Values> halves(const Values& values, const Type& whole, int dim, std::int64_t half) {
  std::vector<Values> parts(2, Values(std::size_t(half_type(whole, dim, half).elements())));
  each_half(whole, dim, half, [&](auto i, auto part, auto at) { parts[part][at] = values[i]; });
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

std::vector<ShardCut> cuts(const Instance& x) {
  const DimRule rule = x.op->rule(x.attrs, x.in);
  const Extents extents = bind_extents(rule, x.in);
  std::vector<ShardCut> all;
  for (char letter : rule.letters()) {
    const std::int64_t extent = extents.at(letter);
    if (rule.is_whole(letter) || extent < 2) continue;
    if (extent % 2 == 0) all.push_back({letter, extent / 2});
    if (kPaddable.find(letter) != kPaddable.npos) all.push_back({letter, extent / 2 + 1});
  }
  return all;
}

std::vector<Instance> shards(const Instance& x, const ShardCut& cut) {
  const DimRule rule = x.op->rule(x.attrs, x.in);
  const std::int64_t extent = bind_extents(rule, x.in).at(cut.letter);
  const auto aliases = x.op->aliases(x.attrs, x.in.size());
  std::vector<Instance> parts(2, x);
  for (std::size_t i = 0; i < x.in.size(); ++i) {
    const int dim = dim_of(rule.in[i], cut.letter);
    const bool accumulator = std::find(aliases.begin(), aliases.end(), int(i)) != aliases.end();
    if (dim < 0 && !accumulator) continue;
    const auto values =
        dim < 0 ? two_summands(x.values[i]) : halves(x.values[i], x.in[i], dim, cut.room);
    for (std::size_t p = 0; p < 2; ++p) {
      parts[p].in[i] = half_type(x.in[i], dim, cut.room);
      parts[p].values[i] = values[p];
    }
  }
  for (std::size_t p = 0; p < 2; ++p) {
    for (std::size_t o = 0; o < x.out.size(); ++o)
      parts[p].out[o] = half_type(x.out[o], dim_of(rule.out[o], cut.letter), cut.room);
    const std::int64_t origin = cut.room * std::int64_t(p);
    parts[p].parts[cut.letter] = {origin, cut.room, std::min(cut.room, extent - origin)};
    parts[p].label += fmt::format(", part {} of {} by {}", p, cut.letter, cut.room);
  }
  return parts;
}

std::vector<Values> joined(const Instance& x, const ShardCut& cut,
                           const std::vector<std::vector<Values>>& outputs) {
  const DimRule rule = x.op->rule(x.attrs, x.in);
  std::vector<Values> whole;
  for (std::size_t o = 0; o < x.out.size(); ++o) {
    Values values(std::size_t(x.out[o].elements()));
    const int dim = dim_of(rule.out[o], cut.letter);
    if (dim < 0) {
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = combine(rule.combine[o], outputs[0][o][i], outputs[1][o][i]);
    } else {
      each_half(x.out[o], dim, cut.room,
                [&](auto i, auto part, auto at) { values[i] = outputs[part][o][at]; });
    }
    whole.push_back(std::move(values));
  }
  return whole;
}

double largest_padding(const Instance& x, const ShardCut& cut, std::size_t output,
                       const Values& second) {
  const int dim = dim_of(x.op->rule(x.attrs, x.in).out[output], cut.letter);
  if (dim < 0) return 0;
  Values rest = second;
  each_half(x.out[output], dim, cut.room, [&](auto, auto part, auto at) {
    if (part == 1) rest[at] = 0;
  });
  double largest = 0;
  for (double v : rest) largest = std::max(largest, std::abs(v));
  return largest;
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
