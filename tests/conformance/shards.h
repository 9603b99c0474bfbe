// An instance cut in two over one letter of its rule, and its results put together again.
#pragma once
#include "conformance/instance.h"

namespace autarky {

// Letters that may be split and whose extent is even.
std::vector<char> splittable_letters(const Instance& whole);

// What each of two devices holds when the letter is split over them. An accumulator without the
// letter arrives as two parts that sum to it.
std::vector<Instance> shards(const Instance& whole, char letter);

// The whole outputs from the shards': split dims joined, partials combined by the rule.
std::vector<Values> joined(const Instance& whole, char letter,
                           const std::vector<std::vector<Values>>& outputs);

// The instance with the inputs of `group` replaced by two parts that sum to them.
std::vector<Instance> partial_parts(const Instance& whole, const std::vector<int>& group);

}  // namespace autarky
