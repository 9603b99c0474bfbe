// The recipe: a YAML file that says a whole run. Every section lists its keys once, with their
// defaults and ranges; reading, printing and checking follow from the lists.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"
#include "base/keys.h"
#include "passes/pipeline_schedule.h"
#include "passes/recompute_policy.h"
#include "train/lr_schedule.h"

namespace autarky {

struct ModelSection {
  std::string preset;     // a name of models/presets.h, or
  std::string config;     // a config.json, or
  std::string init_from;  // a folder with config.json and weights, or a .gguf file

  static constexpr auto keys() {
    using S = ModelSection;
    return std::tuple{key("preset", &S::preset), key("config", &S::config),
                      key("init_from", &S::init_from)};
  }
  bool operator==(const ModelSection&) const = default;
};

// Token files PREFIX.bin and PREFIX.idx. In a recipe a bare word stands for the prefix.
struct DataSource {
  std::string prefix;
  std::optional<double> weight;  // all sources of a list or none; default: the number of tokens

  static constexpr std::string_view kBareKey = "prefix";
  static constexpr auto keys() {
    using S = DataSource;
    return std::tuple{key("prefix", &S::prefix), key("weight", &S::weight, above(0))};
  }
  bool operator==(const DataSource&) const = default;
};

// Another blend from a step on.
struct DataPhase {
  std::int64_t from_step = 0;  // the first step that it feeds
  std::vector<DataSource> train;

  static constexpr auto keys() {
    using S = DataPhase;
    return std::tuple{key("from_step", &S::from_step, between(2, 1e12)), key("train", &S::train)};
  }
  bool operator==(const DataPhase&) const = default;
};

struct DataSection {
  std::vector<DataSource> train, validation;  // validation may be empty
  std::vector<DataPhase> phases;              // by rising step

  static constexpr auto keys() {
    using S = DataSection;
    return std::tuple{key("train", &S::train), key("validation", &S::validation),
                      key("phases", &S::phases)};
  }
  // What feeds a step, from 1.
  const std::vector<DataSource>& train_at(std::int64_t step) const;
  bool operator==(const DataSection&) const = default;
};

struct TrainSection {
  std::int64_t steps = 1000;           // updates of the weights
  std::int64_t seq_length = 1024;      // s: tokens of a row
  std::int64_t micro_batch_size = 1;   // rows that one rank computes at once
  std::int64_t global_batch_size = 1;  // rows of a step, over all ranks
  DType dtype = DType::bf16;           // of the products; master weights are f32
  std::int64_t seed = 1;
  std::int64_t eval_every = 0;      // steps; 0: at the end only
  std::int64_t eval_samples = 0;    // rows of an evaluation; 0: all validation data
  double spike_factor = 10;         // a norm or loss above this x the median is bad; 0: none is
  std::int64_t spike_window = 100;  // good steps that the median is of
  std::int64_t max_bad_steps = 3;   // in a row: back to a checkpoint

  static constexpr auto keys() {
    using S = TrainSection;
    return std::tuple{
        key("steps", &S::steps, between(1, 1e12)),
        key("seq_length", &S::seq_length, between(1, 1 << 24)),
        key("micro_batch_size", &S::micro_batch_size, between(1, 1 << 20)),
        key("global_batch_size", &S::global_batch_size, between(1, 1 << 30)),
        key("dtype", &S::dtype),
        key("seed", &S::seed, at_least(0)),
        key("eval_every", &S::eval_every, between(0, 1e12)),
        key("eval_samples", &S::eval_samples, between(0, 1e12)),
        key("spike_factor", &S::spike_factor, at_least(0)),
        key("spike_window", &S::spike_window, between(1, 1e4)),
        key("max_bad_steps", &S::max_bad_steps, between(1, 1e12)),
    };
  }
  bool operator==(const TrainSection&) const = default;
};

// AdamW.
struct OptimizerSection {
  double lr = 3e-4;  // the peak of the schedule
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;  // of matrices; not of norms and biases
  double clip_norm = 1;       // of the whole gradient; 0: not clipped

  static constexpr auto keys() {
    using S = OptimizerSection;
    return std::tuple{
        key("lr", &S::lr, between(0, 1000)),
        key("beta1", &S::beta1, from_to_below(0, 1)),
        key("beta2", &S::beta2, from_to_below(0, 1)),
        key("eps", &S::eps, above(0)),
        key("weight_decay", &S::weight_decay, between(0, 1000)),
        key("clip_norm", &S::clip_norm, at_least(0)),
    };
  }
  bool operator==(const OptimizerSection&) const = default;
};

// The mesh and how the step is laid over it. All sizes may be written; whether the program at hand
// can run them is the trainer's to say.
struct ParallelSection {
  std::int64_t data_parallel_size = 1;
  std::int64_t tensor_parallel_size = 1;
  std::int64_t pipeline_parallel_size = 1;
  std::int64_t context_parallel_size = 1;
  std::int64_t expert_parallel_size = 1;
  std::int64_t zero_stage = 0;
  bool sequence_parallel = false;
  PipelineSchedule pipeline_schedule = PipelineSchedule::one_f_one_b;
  std::int64_t virtual_pipeline_size = 1;  // chunks of layers on a stage
  std::vector<std::int64_t> stage_layers;  // of each chunk, in the model's order; default: balanced
  std::int64_t lanes = 0;                  // of the gradient's sum; 0: data_parallel_size
  std::int64_t check_every = 100;          // steps: replicas compared; 0: never
  std::int64_t deadline = 600;             // seconds that ranks wait for each other

  static constexpr auto keys() {
    using S = ParallelSection;
    constexpr Range kSize = between(1, 1 << 20);
    return std::tuple{
        key("data_parallel_size", &S::data_parallel_size, kSize),
        key("tensor_parallel_size", &S::tensor_parallel_size, kSize),
        key("pipeline_parallel_size", &S::pipeline_parallel_size, kSize),
        key("context_parallel_size", &S::context_parallel_size, kSize),
        key("expert_parallel_size", &S::expert_parallel_size, kSize),
        key("zero_stage", &S::zero_stage, between(0, 3)),
        key("sequence_parallel", &S::sequence_parallel),
        key("pipeline_schedule", &S::pipeline_schedule),
        key("virtual_pipeline_size", &S::virtual_pipeline_size, kSize),
        key("stage_layers", &S::stage_layers, between(1, 1 << 20)),
        key("lanes", &S::lanes, between(0, 1 << 20)),
        key("check_every", &S::check_every, between(0, 1e12)),
        key("deadline", &S::deadline, between(1, 1e6)),
    };
  }
  bool operator==(const ParallelSection&) const = default;
};

struct CheckpointSection {
  std::int64_t every = 0;         // steps; 0: at the end and on a signal only
  std::int64_t keep_last = 2;     // 0: all
  std::int64_t memory_every = 0;  // steps; kept in memory by autarky launch; 0: not

  static constexpr auto keys() {
    using S = CheckpointSection;
    return std::tuple{key("every", &S::every, between(0, 1e12)),
                      key("keep_last", &S::keep_last, between(0, 1e12)),
                      key("memory_every", &S::memory_every, between(0, 1e12))};
  }
  bool operator==(const CheckpointSection&) const = default;
};

struct LoggingSection {
  std::string run_dir;               // default: runs/ and the name of the recipe's file
  bool trace = false;                // hashes of all values; a time line of the last step
  std::int64_t trace_every = 1;      // steps from one whose values are kept to the next
  std::int64_t capture_step = 0;     // that each rank keeps for `autarky replay`; 0: none
  std::int64_t log_every = 1;        // steps from one plain progress line to the next
  std::int64_t samples = 4;          // texts that the trained model writes into the report
  std::vector<std::string> prompts;  // of the samples; default: beginnings of validation documents

  static constexpr auto keys() {
    using S = LoggingSection;
    return std::tuple{
        key("run_dir", &S::run_dir),
        key("trace", &S::trace),
        key("trace_every", &S::trace_every, between(1, 1e12)),
        key("capture_step", &S::capture_step, between(0, 1e12)),
        key("log_every", &S::log_every, between(1, 1e12)),
        key("samples", &S::samples, between(0, 1000)),
        key("prompts", &S::prompts),
    };
  }
  bool operator==(const LoggingSection&) const = default;
};

struct Recipe {
  ModelSection model;
  std::string tokenizer;  // a folder with tokenizer.json
  DataSection data;
  TrainSection train;
  OptimizerSection optimizer;
  ScheduleSection schedule;
  ParallelSection parallel;
  Recompute recompute = Recompute::none;
  CheckpointSection checkpoint;
  LoggingSection logging;

  static constexpr auto keys() {
    using S = Recipe;
    return std::tuple{
        key("model", &S::model),
        key("tokenizer", &S::tokenizer),
        key("data", &S::data),
        key("train", &S::train),
        key("optimizer", &S::optimizer),
        key("schedule", &S::schedule),
        key("parallel", &S::parallel),
        key("recompute", &S::recompute),
        key("checkpoint", &S::checkpoint),
        key("logging", &S::logging),
    };
  }
  bool operator==(const Recipe&) const = default;

  // Micro-batches of one data-parallel rank and step.
  std::int64_t microbatches() const {
    return train.global_batch_size / (train.micro_batch_size * parallel.data_parallel_size);
  }
  std::int64_t tokens_per_step() const { return train.global_batch_size * train.seq_length; }
};

// Reads `path`, then the overrides ("--section.key=value", value as in YAML), fills what follows
// from other keys (lanes, run_dir) and checks the whole. InputError, with the file and line or the
// override, for an unknown key (with the nearest), a key given twice, a value that is mistyped or
// out of range, and sizes that do not divide.
Recipe load_recipe(const fs::path& path, const std::vector<std::string>& overrides = {});

// The resolved recipe as YAML, every key written; load_recipe reads it back as the same.
std::string to_yaml(const Recipe& recipe);

}  // namespace autarky
