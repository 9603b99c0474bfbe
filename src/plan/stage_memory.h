// What a stage of many layers and micro-batches needs, from the planned memory of a small stand-in.
#pragma once
#include <map>
#include <span>
#include <string_view>

#include "models/engine_options.h"
#include "passes/schedule.h"

namespace autarky {

using BytesByKind = std::map<std::string_view, std::int64_t>;  // as Program::bytes_by_kind

class StageMemory {
 public:
  // Of a stage of one layer and two micro-batches per lane (stand_in).
  explicit StageMemory(const Program& program);

  // layers: of the stage; kept: the most layers times micro-batches that wait for their backward
  // pass at one time (`in_flight`).
  BytesByKind bytes(std::int64_t layers, std::int64_t kept, std::int64_t microbatches) const;

 private:
  void add_static(const Buffer& buffer);
  void add_kept(const Program& program, const Buffer& buffer);

  std::map<BufferKind, std::int64_t> once_, per_layer_;
  std::int64_t data_ = 0;     // per micro-batch
  std::int64_t kept_ = 0;     // per layer and micro-batch
  std::int64_t passing_ = 0;  // activations that no backward pass waits for
  std::int64_t frame_ = 0;    // inside blocks
};

// The most layers, over the chunks of a stage, whose forward pass of a micro-batch is done and
// whose backward pass is not.
std::int64_t in_flight(const Schedule& schedule, int stage, std::span<const int> part_layers);

// Of the stage that needs most. `kinds`: of the stand-in's stages.
struct LargestStage {
  BytesByKind bytes;
  int inner = 0;  // of those between the first and the last the one that needs most; 0: none is
};
LargestStage largest_stage(std::span<const StageMemory> kinds, const Schedule& schedule,
                           std::span<const int> part_layers);
std::int64_t total(const BytesByKind& bytes);

// As the memory plan of the programs has it: of the first stage, the last, or the inner one that an
// outline found to need most.
BytesByKind planned_memory(const EngineOptions& options, int inner);

}  // namespace autarky
