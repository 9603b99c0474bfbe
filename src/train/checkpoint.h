// Checkpoints of a training run:
//   checkpoints/step_00000100/
//     config.json, model.safetensors    the f32 master weights as a Hugging Face model
//     tokenizer.json, ...               the tokenizer's files, copied
//     optimizer.safetensors             "m.<parameter>", "v.<parameter>", f32, whole
//     train_state.json                  TrainState
//     manifest.json                     bytes and xxh3 of all of these
//   checkpoints/latest                  symbolic link to the newest, relative
// The weights are in f32 whatever the training's type: they are the masters, kept once, from which
// the copies in a smaller type follow by rounding. So 12 bytes a parameter restore a run exactly.
// Nothing in it depends on the layout: any number of ranks can resume. Several ranks write it
// together, each the tensors that it owns, in files of its own (model-00001-of-00004.safetensors).
// A checkpoint is written under a temporary name, synced and renamed: a folder of that name is
// whole, whenever a process was killed.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/file.h"
#include "data/data_state.h"
#include "formats/weights.h"
#include "ir/mesh.h"
#include "models/config.h"
#include "train/bad_steps.h"
#include "train/state_part.h"

namespace autarky {

// Where a run is. Random numbers and schedules follow from step and seed.
struct TrainState {
  std::int64_t step = 0;     // steps done, skipped ones too
  std::int64_t samples = 0;  // sequences drawn from the training data
  std::int64_t tokens = 0;   // tokens of those
  std::uint64_t seed = 0;
  std::int64_t lanes = 1;
  std::string recipe_hash;  // of what must not change when resuming
  DataState data = {};      // whose samples those were
  StepHistory history = {};

  bool operator==(const TrainState&) const = default;
};

using StateSource = std::function<void(StatePart part, const ParameterSpec& spec,
                                       std::int64_t layer, std::span<float> values)>;
using StateSink = std::function<void(StatePart part, const ParameterSpec& spec, std::int64_t layer,
                                     std::span<const float> values)>;
using StateFilter =
    std::function<bool(StatePart part, const ParameterSpec& spec, std::int64_t layer)>;

// What one of several ranks writes.
struct CheckpointShare {
  int rank = 0, ranks = 1;
  std::vector<int> tensor_owners;     // by for_each_tensor; empty: rank 0 has everything
  std::vector<int> parameter_owners;  // by parameter_instances; the same for weight, m and v

  WritingShare tensors() const { return {rank, tensor_owners}; }
  bool mine(std::size_t parameter) const { return owner(parameter) == rank; }
  int owner(std::size_t parameter) const {
    return parameter_owners.empty() ? 0 : parameter_owners[parameter];
  }
};
// Ranks of a pipeline stage share what it holds, by bytes. `stage_of`: the stage of a parameter.
CheckpointShare checkpoint_share(
    const ModelConfig& config, const Mesh& mesh, int rank,
    const std::function<int(ParameterBlock block, std::int64_t layer)>& stage_of);

// The order in which a checkpoint's writer, and a Snapshot, ask for the parts of parameters.
struct StateItem {
  StatePart part;
  std::size_t parameter;  // index in parameter_instances
};
std::vector<StateItem> state_order(const ModelConfig& config);

// Memory that a Snapshot and its writing take, for the plan: 12 bytes a parameter, the largest
// tensor once more (f32) and a little for files.
std::int64_t snapshot_bytes(const ModelConfig& config, const CheckpointShare& share = {});

// A copy of a rank's share of a run's state in memory of fixed size, written while training goes
// on.
class Snapshot {
 public:
  explicit Snapshot(const ModelConfig& config, const CheckpointShare& share = {});

  void fill(const StateSource& live);  // copies everything
  StateSource source() const;          // reads the copy; valid as long as this is

 private:
  std::span<float> values(StatePart part, const ParameterSpec& spec, std::int64_t layer) const;

  std::vector<ParameterInstance> parameters_;
  std::vector<StateItem> order_;               // of this rank's
  std::map<std::string, std::int64_t> begin_;  // in each part
  std::int64_t count_ = 0;                     // values of a part
  std::unique_ptr<float[]> memory_;            // one part after the other
};

struct CheckpointOptions {
  fs::path folder;         // ".../checkpoints"; made if it is not there
  std::int64_t keep_last;  // how many checkpoints stay, 1 or more
  fs::path tokenizer;      // folder whose tokenizer files are copied; may be empty
  std::int64_t every = 0;  // those of other steps, written on a signal, go first; 0: all are alike
  CheckpointShare share = {};
  std::chrono::seconds patience{600};  // of rank 0 with the other ranks
};

// Writes checkpoints on a thread of its own, one at a time:
//   writer.wait();  snapshot.fill(live);  writer.start(snapshot.source(), state);
// or, without a snapshot's memory, training standing still: writer.start(live, state), wait().
// One run for a folder at a time. Of several ranks each has a writer; rank 0's puts the checkpoint
// in place when all have written their share. They meet in the folder, which all must see: a rank
// that is done leaves a list of its files there, one that fails removes the folder.
class CheckpointWriter {
 public:
  // Removes what an earlier crash left behind. InputError if the folder cannot be written, or the
  // model has no config.json.
  CheckpointWriter(CheckpointOptions options, ModelConfig config);
  ~CheckpointWriter();  // waits; an error that nobody asked for is lost
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // With several ranks, on each before start() on any: rank 0 makes the folder they write into.
  // Waits as start() does.
  void open(std::int64_t step);
  // Waits for the previous one, throwing its error; then writes in the background. `source` is
  // called from there until wait() returns. A checkpoint of the same step is replaced. After
  // success, those older than the `keep_last` newest up to this step are removed.
  void start(StateSource source, const TrainState& state);
  // Error, once, if the last checkpoint could not be written: a full disk, a folder without
  // permission. Earlier checkpoints are whole then, and nothing of the failed one stays.
  void wait();
  // Whether what wait() threw is that another rank gave the checkpoint up, which knows why.
  bool given_up_by_another() const { return given_up_by_another_; }

 private:
  fs::path temporary(std::int64_t step) const;
  void make_folder(std::int64_t step) const;
  void write(const StateSource& source, const TrainState& state);
  std::vector<WrittenFile> write_share(const fs::path& folder, const StateSource& source,
                                       const TrainState& state) const;
  std::vector<WrittenFile> files_of_others(const fs::path& folder) const;
  void point_latest_to(std::int64_t step) const;
  void prune(std::int64_t step) const;

  CheckpointOptions options_;
  ModelConfig config_;
  std::thread thread_;
  std::int64_t step_ = 0;  // being written
  std::exception_ptr error_;
  std::atomic<bool> given_up_by_another_ = false;
  std::atomic<bool> abandoned_ = false;  // nobody waits for the others' files any more
};

struct FoundCheckpoint {
  struct Skipped {
    fs::path path;
    std::string reason;
  };
  std::optional<fs::path> path;  // none: nothing to resume from
  std::vector<Skipped> skipped;  // newer ones that are damaged
};

// The newest whole checkpoint of a run whose step is wanted: the highest whose files have the bytes
// of its manifest. Reads the files of all that it tries. No folder: nothing found; a folder that
// cannot be read is an InputError.
FoundCheckpoint find_checkpoint(const fs::path& folder,
                                const std::function<bool(std::int64_t)>& wanted = {});

// As find_checkpoint does for each: InputError saying what is wrong.
void verify_checkpoint(const fs::path& path);

// Calls `sink` once for every part of every parameter that is wanted (none given: all); the values
// of others are not read. InputError if the checkpoint's config.json
// is of another model than `config`, or anything is missing or of another shape.
TrainState load_checkpoint(const fs::path& path, const ModelConfig& config, const StateSink& sink,
                           const StateFilter& wanted = {});

// Its train_state.json alone.
TrainState read_train_state(const fs::path& path);
// That of the newest checkpoint that has one; its other files are not looked at.
std::optional<TrainState> newest_train_state(const fs::path& folder);

// "step_00000100", and back; nullopt for other names.
std::string checkpoint_name(std::int64_t step);
std::optional<std::int64_t> checkpoint_step(std::string_view name);

// For writing and reading: the tensor "m.<name>" or "v.<name>" of optimizer.safetensors.
SafetensorsSpec optimizer_tensor(StatePart part, const ParameterInstance& parameter);

}  // namespace autarky
