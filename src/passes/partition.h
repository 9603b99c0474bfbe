// partition: gives every value of a block its layout over the mesh. Where the layout a producer
// leaves is not the one a consumer needs, the difference of the two is the collective that is put
// in.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace autarky {

// "h,g,f,v,x: tp": the first rule that fits a dim of an operation wins; an axis is used once per
// operation. A dim in brackets, or an axis of size 1, does not take part.
struct ShardingRule {
  std::string dims;  // letters
  Axis axis;
};
using ShardingRules = std::vector<ShardingRule>;

// The default table of the decoder families; `s: tp` is sequence parallelism.
ShardingRules default_rules(bool sequence_parallel);

// Factors tensor parallelism into tp over kv groups and tpr over the queries of a group, so that no
// rank has more heads than it must; tp alone where groups suffice.
Mesh with_sub_axes(Mesh mesh, std::int64_t groups, std::int64_t queries);

// Dims that may be split unevenly: operations over them make zeros of the zeros that padding holds
// (heads, features, experts), or are told how many there are (vocabulary).
inline constexpr std::string_view kPaddable = "hgrfvx";

// Which axes split each letter of an operation with this rule; axes over which its operands stay
// partial (`taken`) split nothing. InputError where an extent that is not paddable does not divide.
Assignment assign(const DimRule& rule, const Extents& extents, const ShardingRules& rules,
                  const Mesh& mesh, std::span<const Partial> taken = {});

// The layout a value has where blocks meet.
Layout border_layout(const Type& type, const ShardingRules& rules, const Mesh& mesh);

// Layouts of the parameters and accumulators of a block are those its operations need; they are
// written to the ports' types. Collectives carry the phase of their consumer.
Graph partition(const Graph& graph, const ShardingRules& rules, const Mesh& mesh);

}  // namespace autarky
