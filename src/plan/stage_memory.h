// What a stage of many layers and micro-batches needs, from the planned memory of a small stand-in.
#pragma once
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "models/engine_options.h"
#include "passes/schedule.h"

namespace autarky {

using BytesByKind = std::map<std::string_view, std::int64_t>;  // as Program::bytes_by_kind

// Layers times micro-batches at one time, whose forward pass is done and whose backward pass is
// not; where gradients of weights come apart also those that wait for them.
struct InFlight {
  std::int64_t for_backward = 0;  // forward pass done, backward not
  std::int64_t for_weights = 0;   // forward pass done, gradients of weights not
  std::int64_t between = 0;       // backward pass done, gradients of weights not
};

class StageMemory {
 public:
  // Of a stage of one layer and two micro-batches per lane (stand_in).
  explicit StageMemory(const Program& program);

  // layers: of the stage; waiting: the times when most waits (`in_flight`).
  BytesByKind bytes(std::int64_t layers, std::span<const InFlight> waiting,
                    std::int64_t microbatches) const;

 private:
  void add_static(const Buffer& buffer);
  void add_kept(const Program& program, const Buffer& buffer, std::vector<std::int64_t>& alive);

  std::map<BufferKind, std::int64_t> once_, per_layer_;
  std::int64_t data_ = 0;     // per micro-batch
  InFlight kept_;             // bytes per layer and micro-batch that wait so
  std::int64_t passing_ = 0;  // activations that no backward pass waits for
  std::int64_t frame_ = 0;    // inside blocks
};

// The times, over a step of a stage and its chunks, at which no other has as many of all.
std::vector<InFlight> in_flight(const Schedule& schedule, int stage,
                                std::span<const int> part_layers);

// By stage. `kinds`: of the stand-in's stages.
std::vector<BytesByKind> memory_of_stages(std::span<const StageMemory> kinds,
                                          const Schedule& schedule,
                                          std::span<const int> part_layers);
std::int64_t total(const BytesByKind& bytes);
// Of the stage that needs most.
std::int64_t most(std::span<const BytesByKind> stages);

// As the memory plan of the programs of these stages has it.
std::vector<BytesByKind> planned_memory(const EngineOptions& options, std::span<const int> stages);

}  // namespace autarky
