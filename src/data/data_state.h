// What a run has taken from its sources: the part of a checkpoint that places its data.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace autarky {

struct SourceState {
  std::string prefix = {};   // as the recipe wrote it
  std::string content = {};  // MegatronDataset::fingerprint in hex
  double weight = 0;         // in the blend in force; 0: not in it
  std::int64_t before = 0;   // samples taken before the blend in force
  std::int64_t samples = 0;  // taken in all: the number of the source's next sample
  std::int64_t tokens = 0;   // taken in all
  double epochs = 0;         // taken in all

  bool operator==(const SourceState&) const = default;
};

struct DataState {
  std::int64_t blend_start = 0;      // sample of the run at which the blend in force began
  std::vector<SourceState> sources;  // in the order in which they came into the run

  std::int64_t samples() const;  // of all sources
  bool operator==(const DataState&) const = default;
};

Json to_json(const DataState& state);
// InputError at `where` for what to_json does not write.
DataState data_state(const Json& json, std::string_view where);

}  // namespace autarky
