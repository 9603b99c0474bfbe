// A model's parameters from and to the tensors of a Hugging Face checkpoint; the one place for both
// directions. Which parameters lie in which tensor says models/parameters.h, tensor_maps().
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "formats/safetensors.h"
#include "formats/safetensors_writer.h"
#include "models/parameters.h"

namespace autarky {

// A parameter of one layer; those of embedding and head have layer 0.
struct ParameterInstance {
  ParameterSpec spec;
  std::int64_t layer = 0;

  std::string name() const { return layer_name(spec.name, layer); }
};

// All of them: embedding, layer by layer, head.
std::vector<ParameterInstance> parameter_instances(const ModelConfig& config);

// Takes, or gives, the values of one instance: spec.count() of them in the order of spec.dims.
using WeightSink = std::function<void(const ParameterSpec& spec, std::int64_t layer,
                                      std::span<const float> values)>;
// Whether the values of an instance are asked for.
using WeightFilter = std::function<bool(const ParameterSpec& spec, std::int64_t layer)>;
using WeightSource =
    std::function<void(const ParameterSpec& spec, std::int64_t layer, std::span<float> values)>;

// Values as f32, rounded to nearest even from F64; widened from BF16 and F16. `values` has the
// tensor's size. CHECK for other types: see is_floating.
void read_floats(const SafetensorsTensor& tensor, std::span<float> values);

// Calls `sink` once for every parameter instance that is wanted (none given: all); the values of
// others are not read. All names, shapes and types are checked before
// the first call. InputError, with tensor, found and wanted, for a tensor that is missing, has
// another shape or no floating type; and for one that the model does not have: ignoring it would
// silently compute another model than the file's (a bias, a norm, more layers).
// Accepted: names without the family's prefix ("h.0..." for "transformer.h.0..."), as checkpoints
// of the bare model have them. Ignored: buffers of old checkpoints (causal masks, rotary
// frequencies), and lm_head.weight where the embeddings are tied.
// Memory: the values of one parameter.
void load_weights(const SafetensorsReader& reader, const ModelConfig& config,
                  const WeightSink& sink, const WeightFilter& wanted = {});

inline constexpr std::int64_t kMostShardBytes = 5'000'000'000;

// Calls visit(map, layer) for all tensors of a checkpoint: embedding, layer by layer, head.
void for_each_tensor(const std::vector<TensorMap>& maps, std::int64_t layers,
                     const std::function<void(const TensorMap& map, std::int64_t layer)>& visit);

// Cuts the values of a whole tensor into those of its parameters.
void split_tensor(const TensorMap& map, std::int64_t layer, std::span<const float> values,
                  const std::map<std::string, ParameterSpec>& specs, const WeightSink& sink);
std::map<std::string, ParameterSpec> specs_by_name(const ModelConfig& config);

// The other way round: takes parameters in the order of load_weights and gives whole tensors, in
// the order of for_each_tensor; only those that a rank owns, if several share the work. Memory: the
// values of one tensor, where it holds several parameters.
class TensorJoiner {
 public:
  using Sink =
      std::function<void(const TensorMap& map, std::int64_t layer, std::span<const float> values)>;
  TensorJoiner(const ModelConfig& config, Sink sink, const WritingShare& share = {});

  void put(const ParameterSpec& spec, std::int64_t layer, std::span<const float> values);
  bool complete() const { return next_ == order_.size(); }

 private:
  Sink sink_;
  std::vector<TensorMap> maps_;
  std::vector<std::pair<const TensorMap*, std::int64_t>> order_;
  std::size_t next_ = 0, piece_ = 0;  // tensor, and parameter in it, that comes next
  std::vector<float> values_;
};

// Writes config.json and model.safetensors, or shards with an index above `most_bytes`, into a
// folder that is there. `dtype` is floating; f32 is rounded to nearest even. put() is called for
// every parameter in the order of load_weights. Every file is synced.
class WeightsWriter {
 public:
  WeightsWriter(const fs::path& folder, const ModelConfig& config, DType dtype,
                std::int64_t most_bytes = kMostShardBytes, const WritingShare& share = {});

  void put(const ParameterSpec& spec, std::int64_t layer, std::span<const float> values);
  std::vector<WrittenFile> finish();

 private:
  void write_tensor(const TensorMap& map, std::int64_t layer, std::span<const float> values);

  DType dtype_;
  std::vector<WrittenFile> files_;
  SafetensorsSetWriter writer_;
  TensorJoiner joiner_;
};

// All of a rank's share (owners by for_each_tensor); calls `source` once for every parameter
// instance of it. Memory: the values of one tensor.
std::vector<WrittenFile> save_weights(const fs::path& folder, const ModelConfig& config,
                                      DType dtype, const WeightSource& source,
                                      std::int64_t most_bytes = kMostShardBytes,
                                      const WritingShare& share = {});

}  // namespace autarky
