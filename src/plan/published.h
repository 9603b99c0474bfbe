// Published training runs: a table of layouts and measured speeds (docs/formats/published_runs.md).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "models/engine_options.h"

namespace autarky {

struct PublishedRun {
  std::string id, source, profile, chip;
  std::string assumed;  // columns that were inferred, not read
  std::string notes;
  bool again_gathers = false;  // recomputation gathers activations again, as the notes say
  bool apart = false;          // every parameter is gathered by itself, nothing beside
  bool messages_stop = false;  // DeepSpeed's pipeline: whole activations, both ends wait for each
  bool plain_tensor = false;   // FlagPerf's scripts: no overlap of tensor-parallel communication
  bool overlapped = false;     // MindSpeed: gradients beside the backward pass, fused norms
  int chips = 0;
  bool fp8 = false, flash = true;
  bool half_batches = false, tiles = false;  // what hides tensor-parallel communication
  EngineOptions options;
  double step_s = 0;
  std::string refused;  // why it cannot be compared; empty: it can
};

// InputError, with file, row and column, for a missing column or a value that is none.
std::vector<PublishedRun> read_published_runs(const fs::path& path);

}  // namespace autarky
