// Runs over several ranks, which are threads of the test: a small model, data and a recipe.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/words.h"
#include "comm/local/local_comm.h"
#include "formats/megatron_index.h"
#include "formats/model_files.h"
#include "train/machine_sheet.h"
#include "train/replicas.h"
#include "train/trainer.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {

inline void write_tokens(const fs::path& prefix, int documents, std::uint64_t seed) {
  fs::create_directories(prefix.parent_path());
  MegatronWriter writer(prefix, 256);
  const Random random{seed, Purpose::test};
  std::uint64_t next = 0;
  for (int d = 0; d < documents; ++d) {
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 20 + int(random.bits(next++) % 40); ++i)
      tokens.push_back(std::int32_t(random.bits(next++) % 8 + std::uint64_t(i) % 8 * 4));
    writer.add_document(tokens);
  }
  writer.seal();
  writer.publish();
}

class Ranks : public testing::Test {
 protected:
  void SetUp() override {
    const auto cache = fs::current_path() / "unit-cache";
    ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
    set_thread_count(1);
    // Before ranks wait for each other: it takes longer than a deadline on a busy, sanitized
    // machine.
    for (const DType dtype : {DType::f32, DType::bf16})
      local_chip(*make_cpu_backend(), dtype, Sheet::kept);
    write_tokens(folder_ / "train", 120, 1);
    write_tokens(folder_ / "validation", 9, 2);
    folder_.write("llama.json", R"({"model_type": "llama", "hidden_size": 64,
      "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "vocab_size": 256, "max_position_embeddings": 32,
      "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false})");
    folder_.write("gpt2.json", R"({"model_type": "gpt2", "n_embd": 64, "n_layer": 4, "n_head": 4,
      "n_positions": 32, "vocab_size": 256, "activation_function": "gelu_new",
      "layer_norm_epsilon": 1e-5})");
    folder_.write("recipe.yaml", R"(
train: {steps: 6, seq_length: 16, micro_batch_size: 2, global_batch_size: 16, dtype: f32,
        eval_every: 3}
optimizer: {lr: 0.01}
parallel: {lanes: 4}
checkpoint: {keep_last: 0}
logging: {samples: 0}
)");
  }

  std::vector<std::string> options(const std::string& run_dir, const std::string& more) const {
    std::vector<std::string> all = {"--model.config=" + (folder_ / "llama.json").string(),
                                    "--data.train=[" + (folder_ / "train").string() + "]",
                                    "--data.validation=[" + (folder_ / "validation").string() + "]",
                                    "--logging.run_dir=" + (folder_ / run_dir).string()};
    for (const auto& word : split(more, ' '))
      if (!word.empty()) all.emplace_back(word);
    return all;
  }

  // Every rank does what a process of `autarky train` would. `layout`: "dp2 pp2".
  void train(const std::string& run_dir, const std::string& layout, const std::string& more = "",
             bool resume = false) {
    const Mesh mesh = parse_mesh(layout).value();
    const std::string sizes =
        " --parallel.data_parallel_size=" + std::to_string(mesh.size(Axis::dp)) +
        " --parallel.tensor_parallel_size=" + std::to_string(mesh.size(Axis::tp)) +
        " --parallel.pipeline_parallel_size=" + std::to_string(mesh.size(Axis::pp));
    const Recipe recipe = load_recipe(folder_ / "recipe.yaml", options(run_dir, more + sizes));
    const auto backend = make_cpu_backend();
    run_local_ranks(mesh.ranks(),
                    [&](Comm& comm) { Trainer(recipe, *backend, comm, resume).run({}); });
  }

  // The numbers of metrics.jsonl that no clock and no machine is in.
  std::vector<std::map<std::string, double>> metrics(const std::string& run_dir) const {
    std::vector<std::map<std::string, double>> lines;
    std::ifstream in(folder_ / (run_dir + "/metrics.jsonl"));
    for (std::string line; std::getline(in, line);) {
      const auto json = nlohmann::json::parse(line);
      auto& numbers = lines.emplace_back();
      for (const char* key : {"step", "tokens", "loss", "grad_norm", "lr", "val_loss"})
        if (json.contains(key)) numbers[key] = json[key];
    }
    return lines;
  }

  std::map<std::string, std::vector<float>> state(const std::string& run_dir) const {
    std::map<std::string, std::vector<float>> values;
    const auto path = folder_ / (run_dir + "/checkpoints/latest");
    const auto config = read_model_config(path);
    load_checkpoint(path, config,
                    [&](StatePart part, const ParameterSpec& spec, std::int64_t layer,
                        std::span<const float> v) {
                      values[std::to_string(int(part)) + layer_name(spec.name, layer)].assign(
                          v.begin(), v.end());
                    });
    return values;
  }

  void expect_same_bits(const std::string& a, const std::string& b) const {
    EXPECT_EQ(metrics(a), metrics(b)) << a << " and " << b;
    EXPECT_TRUE(state(a) == state(b)) << a << " and " << b;
    EXPECT_EQ(metrics(a).size(), 8u);  // 6 steps, 2 evaluations
  }

  // The norm answers more to rounding than the loss: AdamW goes a whole step however small a
  // gradient is, so rounding decides the way of some. One rank's norm of the sixth step differs by
  // 3e-4 between AVX2 and AVX-512, its loss by 4e-8.
  static constexpr double kNormAnswers = 100;
  void expect_near(const std::string& a, const std::string& b, double tolerance) const {
    const auto x = metrics(a), y = metrics(b);
    ASSERT_EQ(x.size(), y.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      for (const auto& [key, value] : x[i]) {
        const double part =
            key == "grad_norm" ? std::min(2e-2, kNormAnswers * tolerance) : tolerance;
        EXPECT_NEAR(value, y[i].at(key), part * std::abs(value)) << key << " of line " << i;
      }
  }

  ScratchFolder folder_;
};

}  // namespace autarky
