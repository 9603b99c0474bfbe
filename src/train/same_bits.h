// Which other layouts train to the bits of this one, and what that costs: ARCHITECTURE.md, "The
// order of sums".
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "train/engine.h"

namespace autarky {

struct SameBits {
  struct Size {
    int data_parallel = 1;
    int gradient_sets = 0;            // held beside the one that every run holds
    std::int64_t gradient_bytes = 0;  // of these, on one rank
  };
  std::vector<Size> sizes;  // of data_parallel_size, the others as they are
  std::int64_t lanes = 1;
  // By ZeRO 2 and 3: ranks are added before micro-batches, so the bits are those of one size only.
  bool ranks_first = false;
};

// `program`: of a rank of `options`.
SameBits same_bits(const EngineOptions& options, const Program& program);
// As lines: what keeps the bits, what does not.
std::vector<std::pair<std::string, std::string>> describe(const SameBits& bits);

}  // namespace autarky
