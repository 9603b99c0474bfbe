// Whether data-parallel ranks still hold the same: a flipped bit of memory, or a fault of ours,
// would train several models at once without a word.
#pragma once
#include "train/engine.h"

namespace autarky {

// Compares checksums of everything that is replicated over dp: weights, masters, moments. Every
// rank calls it. Error naming the ranks that differ from most of theirs.
void check_replicas(const TrainingEngine& engine);

}  // namespace autarky
