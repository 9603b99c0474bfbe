// bucket: collectives that would be a small message each become one with several operands.
#pragma once
#include "passes/program.h"

namespace autarky {

// What a link carries in the time in which a message starts: 10 us x 25 GB/s. A message below it
// costs mostly that start.
inline constexpr std::int64_t kBucketBytes = 256 << 10;

// In one block, collectives of the same operation, attributes and element type that move less than
// kBucketBytes each are joined until they reach it together. They wait for the last of them, and
// with them what only adds or cuts their results. Nothing else does: what computes with a result
// ends its bucket.
void fill_buckets(Graph& graph, const Mesh& mesh);
void fill_buckets(Program& program);  // every block

}  // namespace autarky
