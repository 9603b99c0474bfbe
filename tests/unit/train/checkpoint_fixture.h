// States of a tiny model, and what is found of them in checkpoints.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "train/checkpoint.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {

using Values = std::map<std::string, std::vector<float>>;

// q, k and v of a layer are one tensor of its checkpoint.
inline ModelConfig tiny_gpt2() {
  ModelConfig c;
  c.family = Family::gpt2;
  c.layers = 2;
  c.hidden = 8;
  c.heads = c.kv_heads = 4;
  c.head_dim = 2;
  c.ffn = 12;
  c.vocab = 10;
  c.max_positions = 6;
  c.norm = NormKind::layer;
  c.activation = Activation::gelu_tanh;
  c.position = PositionKind::learned;
  c.qkv_bias = c.attn_output_bias = c.ffn_input_bias = c.ffn_output_bias = true;
  c.tied_embeddings = true;
  return c;
}

inline std::string key(StatePart part, const ParameterSpec& spec, std::int64_t layer) {
  return std::to_string(static_cast<int>(part)) + layer_name(spec.name, layer);
}

// Any f32 bits, those of subnormals and infinities too; different for every step.
inline StateSource state_of(std::int64_t step) {
  return [step](StatePart part, const ParameterSpec& spec, std::int64_t layer,
                std::span<float> values) {
    std::uint64_t bits = xxh3(key(part, spec, layer) + std::to_string(step));
    for (float& v : values) {
      bits = bits * 6364136223846793005u + 1442695040888963407u;
      v = std::bit_cast<float>(std::uint32_t(bits >> 32));
      if (std::isnan(v)) v = -0.0f;
    }
  };
}

inline TrainState at_step(std::int64_t step) {
  return {step,
          step * 16,
          step * 16 * 128,
          0xfedcba9876543210u,
          4,
          "0123456789abcdef",
          {step, {{"data/a", "00ff", 0.5, step, step * 16, step * 16 * 128, 0.25}}}};
}

inline Values wanted(const ModelConfig& config, std::int64_t step) {
  Values values;
  for (const auto& p : parameter_instances(config))
    for (const StatePart part : kStateParts) {
      auto& v = values[key(part, p.spec, p.layer)];
      v.resize(std::size_t(p.spec.count()));
      state_of(step)(part, p.spec, p.layer, v);
    }
  return values;
}

inline Values load(const fs::path& path, TrainState& state) {
  Values values;
  state = load_checkpoint(
      path, tiny_gpt2(),
      [&](StatePart part, const ParameterSpec& spec, std::int64_t layer, std::span<const float> v) {
        EXPECT_TRUE(
            values.emplace(key(part, spec, layer), std::vector<float>(v.begin(), v.end())).second);
      });
  return values;
}

inline void expect_state_of(const fs::path& path, std::int64_t step) {
  TrainState state;
  EXPECT_TRUE(load(path, state) == wanted(tiny_gpt2(), step)) << "other values of step " << step;
  EXPECT_EQ(state, at_step(step));
}

inline void save(const fs::path& folder, std::int64_t step, std::int64_t keep_last = 10,
                 const fs::path& tokenizer = "") {
  CheckpointWriter writer({folder, keep_last, tokenizer}, tiny_gpt2());
  writer.start(state_of(step), at_step(step));
  writer.wait();
}

inline std::vector<std::string> names(const fs::path& folder) {
  std::vector<std::string> list;
  for (const auto& entry : fs::directory_iterator(folder))
    list.push_back(entry.path().filename().string());
  std::sort(list.begin(), list.end());
  return list;
}

inline void flip_bit(const fs::path& path, std::size_t bit) {
  std::string content = read_file(path);
  content[bit / 8] = char(content[bit / 8] ^ (1 << bit % 8));
  std::ofstream(path, std::ios::binary) << content;
}

template <typename Action>
inline std::string failure_of(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 1);
    return e.what();
  }
  return "";
}

}  // namespace autarky
