#include "formats/gguf_weights.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "formats/gguf_config.h"
#include "unit/formats/gguf_bytes.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

using Values = std::map<std::string, std::vector<float>>;
const fs::path kGolden = fs::path(AUTARKY_SOURCE_DIR) / "tests" / "golden";

WeightSink into(Values& values) {
  return [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> v) {
    values[layer_name(spec.name, layer)].assign(v.begin(), v.end());
  };
}

ModelConfig tiny(Family family) {
  ModelConfig c;
  c.family = family;
  c.layers = 2;
  c.hidden = 64;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 8;
  c.ffn = 96;
  c.vocab = 40;
  c.max_positions = 128;
  c.norm_eps = 1e-5;
  c.qkv_bias = family == Family::qwen2;
  c.qk_norm = family == Family::qwen3;
  if (family != Family::gpt2) return c;
  c.kv_heads = c.heads;
  c.head_dim = 16;
  c.norm = NormKind::layer;
  c.activation = Activation::gelu_tanh;
  c.position = PositionKind::learned;
  c.qkv_bias = c.attn_output_bias = c.ffn_input_bias = c.ffn_output_bias = true;
  return c;
}

// Different in every place; kept by bf16 and f16.
Values values_of(const ModelConfig& config) {
  Values values;
  for (const auto& p : parameter_instances(config)) {
    auto& v = values[p.name()];
    for (std::int64_t i = 0; i < p.spec.count(); ++i)
      v.push_back(float(int(xxh3(p.name() + std::to_string(i)) % 255) - 127) / 64);
  }
  return values;
}

void write(const fs::path& path, const ModelConfig& config, GgufType type, const Values& values) {
  GgufWeightsWriter writer(path, config, {}, type);
  for (const auto& p : parameter_instances(config))
    writer.put(p.spec, p.layer, values.at(p.name()));
  writer.finish();
}

class GgufModel : public testing::TestWithParam<const char*> {
 protected:
  fs::path folder() const { return kGolden / "models" / GetParam(); }
  fs::path file() const { return kGolden / "gguf" / (std::string(GetParam()) + ".gguf"); }
  ModelConfig config() const { return parse_config(read_json(folder() / "config.json"), "it"); }
};

TEST_P(GgufModel, IsTheModelThatTheOtherImplementationConverted) {
  const GgufReader gguf(file());
  ModelConfig read = gguf_model_config(gguf), wanted = config();
  read.initializer_range = wanted.initializer_range;  // the file has no key for it
  wanted.notes.clear();
  EXPECT_EQ(read, wanted);
  Values values, expected;
  load_gguf_weights(gguf, read, into(values));
  load_weights(SafetensorsReader(folder()), wanted, into(expected));
  EXPECT_EQ(values, expected);
}

TEST_P(GgufModel, WrittenItHasTheTensorsAndKeysOfTheOtherImplementation) {
  const ScratchFolder folder_of_test;
  const fs::path path = folder_of_test / "x.gguf";
  GgufWeightsWriter writer(path, config(), {}, GgufType::f32);
  load_weights(SafetensorsReader(folder()), config(),
               [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> v) {
                 writer.put(spec, layer, v);
               });
  writer.finish();
  const GgufReader ours(path), theirs(file());
  ASSERT_EQ(ours.tensors().size(), theirs.tensors().size());
  for (const auto& [name, t] : theirs.tensors()) {
    const GgufTensor& our = ours.tensor(name);
    EXPECT_EQ(our.shape, t.shape) << name;
    EXPECT_TRUE(std::equal(t.bytes.begin(), t.bytes.end(), our.bytes.begin(), our.bytes.end()))
        << name;
  }
  for (const auto& [key, value] : theirs.metadata().items())
    if (!key.starts_with("tokenizer.")) {
      EXPECT_EQ(ours.metadata().value(key, Json()), value) << key;
    }
}

INSTANTIATE_TEST_SUITE_P(Families, GgufModel, testing::Values("llama", "qwen2", "gpt2"),
                         [](const auto& param) { return std::string(param.param); });

TEST(GgufWeights, ModelsOfEveryFamilyAndTypeComeBack) {
  const ScratchFolder folder;
  for (const Family family :
       {Family::llama, Family::mistral, Family::qwen2, Family::qwen3, Family::gpt2})
    for (const GgufType type : {GgufType::f32, GgufType::f16, GgufType::bf16}) {
      ModelConfig config = tiny(family);
      if (family == Family::mistral) config.window = 32;
      const Values values = values_of(config);
      write(folder / "x.gguf", config, type, values);
      const GgufReader file(folder / "x.gguf");
      EXPECT_EQ(gguf_model_config(file), config) << family_name(family);
      Values read;
      load_gguf_weights(file, config, into(read));
      EXPECT_EQ(read, values) << family_name(family) << " " << gguf_type_info(type).name;
    }
}

TEST(GgufWeights, Q8HoldsMatricesOnlyAndStaysNear) {
  const ScratchFolder folder;
  const ModelConfig config = tiny(Family::gpt2);
  const Values values = values_of(config);
  write(folder / "x.gguf", config, GgufType::q8_0, values);
  const GgufReader file(folder / "x.gguf");
  EXPECT_EQ(file.metadata()["general.file_type"], 7);
  EXPECT_EQ(file.metadata()["general.quantization_version"], 2);
  EXPECT_EQ(file.tensor("blk.0.attn_norm.weight").type, GgufType::f32);
  EXPECT_EQ(file.tensor("position_embd.weight").type, GgufType::f32);
  EXPECT_EQ(file.tensor("blk.1.ffn_up.weight").type, GgufType::q8_0);
  Values read;
  load_gguf_weights(file, config, into(read));
  for (const auto& [name, v] : values)
    for (std::size_t i = 0; i < v.size(); ++i) ASSERT_NEAR(read[name][i], v[i], 2.0 / 127) << name;
}

TEST(GgufWeights, RowsThatAreNoWholeBlocksBecomeF16) {
  const ScratchFolder folder;
  ModelConfig config = tiny(Family::llama);
  config.ffn = 40;
  write(folder / "x.gguf", config, GgufType::q8_0, values_of(config));
  const GgufReader file(folder / "x.gguf");
  EXPECT_EQ(file.tensor("blk.0.ffn_down.weight").type, GgufType::f16);
  EXPECT_EQ(file.tensor("blk.0.ffn_up.weight").type, GgufType::q8_0);
}

TEST(GgufWeights, RotaryScalingsComeBack) {
  const ScratchFolder folder;
  ModelConfig config = tiny(Family::llama);
  config.head_dim = 64;
  config.tied_embeddings = true;
  config.max_positions = 131072;
  const auto round_trip = [&] {
    write(folder / "x.gguf", config, GgufType::f32, values_of(config));
    const GgufReader file(folder / "x.gguf");
    EXPECT_EQ(gguf_model_config(file), config);
    return file.contains("rope_freqs.weight");
  };
  config.rope = {.theta = 500000,
                 .kind = RopeKind::llama3,
                 .factor = 32,
                 .original_max_positions = 8192,
                 .low_freq_factor = 1,
                 .high_freq_factor = 4};
  EXPECT_TRUE(round_trip());
  config.rope = {
      .theta = 10000, .kind = RopeKind::linear, .factor = 4, .original_max_positions = 131072};
  EXPECT_FALSE(round_trip());
  config.rope = {
      .theta = 1e6, .kind = RopeKind::yarn, .factor = 4, .original_max_positions = 32768};
  EXPECT_FALSE(round_trip());
  config.rope = {
      .theta = 1e6, .kind = RopeKind::ntk, .factor = 4, .original_max_positions = 131072};
  EXPECT_TRUE(contains(input_error_of([&] { gguf_model_metadata(config); }),
                       "GGUF has no keys for all that this llama has"));
}

TEST(GgufWeights, AWrongModelIsRefusedByName) {
  const ScratchFolder folder;
  const ModelConfig config = tiny(Family::llama);
  write(folder / "x.gguf", config, GgufType::f32, values_of(config));
  const GgufReader file(folder / "x.gguf");
  int calls = 0;
  const auto load = [&](const ModelConfig& other) {
    return input_error_of([&] { load_gguf_weights(file, other, [&](auto&&...) { ++calls; }); });
  };
  ModelConfig wider = config, deeper = config, shallower = config;
  wider.ffn = 32;
  deeper.layers = 3;
  shallower.layers = 1;
  EXPECT_TRUE(contains(load(wider),
                       "tensor 'blk.0.ffn_gate.weight' has another shape than the "
                       "model's; found [96, 64], wanted [32, 64]"));
  EXPECT_TRUE(contains(load(deeper), "there is no tensor 'blk.2.attn_norm.weight'"));
  EXPECT_TRUE(contains(load(shallower), "the model has no tensor 'blk.1."));
  EXPECT_EQ(calls, 0);
}

TEST(GgufConfig, WhatIsWrongIsNamed) {
  const ScratchFolder folder;
  const auto refusal = [&](const std::function<void(GgufMetadata&)>& change) {
    GgufMetadata metadata = gguf_model_metadata(tiny(Family::llama));
    change(metadata);
    GgufWriter writer(folder / "x.gguf", metadata, {{"token_embd.weight", GgufType::f32, {1, 1}}});
    writer.write("token_embd.weight", std::vector<float>{0});
    writer.finish();
    return input_error_of([&] { gguf_model_config(GgufReader(folder / "x.gguf")); });
  };
  const auto set = [](const char* key, GgufValue value) {
    return [=](GgufMetadata& m) {
      std::erase_if(m, [&](const auto& entry) { return entry.first == key; });
      m.emplace_back(key, value);
    };
  };
  EXPECT_EQ(refusal([](auto&) {}), "");
  EXPECT_TRUE(contains(refusal(set("general.architecture", std::string("mamba"))),
                       "found \"mamba\", wanted one of llama, qwen2, qwen3, gpt2"));
  EXPECT_TRUE(contains(refusal(set("llama.block_count", std::string("x"))),
                       "key 'llama.block_count' has a value that cannot be used; found \"x\""));
  EXPECT_TRUE(contains(refusal(set("llama.block_count", std::uint32_t(0))), "num_hidden_layers"));
  EXPECT_TRUE(
      contains(refusal([](GgufMetadata& m) { m.erase(m.begin() + 1); }),
               "key 'llama.embedding_length' has a value that cannot be used; found nothing"));
  EXPECT_TRUE(contains(refusal(set("llama.expert_count", std::uint32_t(8))),
                       "key 'llama.expert_count' is not supported"));
  EXPECT_EQ(refusal(set("llama.expert_count", std::uint32_t(0))), "");
  EXPECT_TRUE(contains(refusal(set("llama.rope.dimension_count", std::uint32_t(4))),
                       "'llama.rope.dimension_count' has a value that cannot be used; found 4"));
  EXPECT_TRUE(contains(refusal(set("llama.rope.scaling.type", std::string("longrope"))),
                       "wanted none, linear or yarn"));
  EXPECT_TRUE(contains(refusal(set("llama.attention.head_count", std::vector<std::int32_t>{4, 4})),
                       "head_count"));
}

TEST(GgufConfig, AFamilyWithoutArchitectureIsRefused) {
  ModelConfig config = tiny(Family::llama);
  config.family = Family::telechat;
  EXPECT_TRUE(contains(input_error_of([&] { gguf_model_metadata(config); }),
                       "GGUF has no architecture for telechat"));
}

}  // namespace
}  // namespace autarky
