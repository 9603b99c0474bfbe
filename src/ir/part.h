// Which elements of a whole value a rank holds.
#pragma once
#include <cstdint>
#include <vector>

#include "ir/type.h"

namespace autarky {

// `count` elements that lie one after the other in a rank's part and in the whole.
struct Stretch {
  std::int64_t part, whole, count;
  bool operator==(const Stretch&) const = default;
};

// Those of the rank at `at`, in the order of its part; none longer than `most` elements. Padding is
// in none of them.
std::vector<Stretch> stretches_of(const Type& type, const Mesh& mesh, const Coordinates& at,
                                  std::int64_t most = std::int64_t(1) << 40);

}  // namespace autarky
