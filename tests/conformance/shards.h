// An instance cut in two over one letter of its rule, and its results put together again.
#pragma once
#include "conformance/instance.h"

namespace autarky {

// A letter of the rule, cut in two parts with room for that many; the second may have padding.
struct ShardCut {
  char letter;
  std::int64_t room;
};
// Every letter that may be split: in halves where it is even; unevenly where it may be padded.
std::vector<ShardCut> cuts(const Instance& whole);

// What each of two devices holds. An accumulator without the letter arrives as two parts that sum
// to it.
std::vector<Instance> shards(const Instance& whole, const ShardCut& cut);

// The whole outputs from the shards': split dims joined, partials combined by the rule.
std::vector<Values> joined(const Instance& whole, const ShardCut& cut,
                           const std::vector<std::vector<Values>>& outputs);

// The greatest magnitude in the padding of an output of the second shard.
double largest_padding(const Instance& whole, const ShardCut& cut, std::size_t output,
                       const Values& second);

// The instance with the inputs of `group` replaced by two parts that sum to them.
std::vector<Instance> partial_parts(const Instance& whole, const std::vector<int>& group);

}  // namespace autarky
