#include "formats/weights.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

using Values = std::map<std::string, std::vector<float>>;

ModelConfig tiny(Family family, bool tied) {
  ModelConfig c;
  c.family = family;
  c.layers = 2;
  c.hidden = 8;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 2;
  c.ffn = 12;
  c.vocab = 10;
  c.max_positions = 6;
  c.tied_embeddings = tied;
  c.qkv_bias = family == Family::qwen2;
  c.qk_norm = family == Family::qwen3;
  if (family == Family::mistral || family == Family::qwen3) c.window = 3;
  if (family == Family::telechat) c.attn_output_bias = c.ffn_output_bias = true;
  if (family != Family::gpt2) return c;
  c.kv_heads = c.heads;
  c.norm = NormKind::layer;
  c.activation = Activation::gelu_tanh;
  c.position = PositionKind::learned;
  c.qkv_bias = c.attn_output_bias = c.ffn_input_bias = c.ffn_output_bias = true;
  return c;
}

// The smallest GPT-2: hidden 2, one head.
ModelConfig two_wide() {
  ModelConfig c = tiny(Family::gpt2, true);
  c.layers = c.heads = c.kv_heads = 1;
  c.hidden = c.head_dim = c.ffn = c.vocab = c.max_positions = 2;
  return c;
}

// Different in every place; sums of few powers of two, so that bf16 and f16 keep them.
float value_of(const std::string& name, std::size_t i) {
  return float(int(xxh3(name + std::to_string(i)) % 255) - 127) / 64;
}

void fill(const ParameterSpec& spec, std::int64_t layer, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = value_of(layer_name(spec.name, layer), i);
}

Values load(const fs::path& path, const ModelConfig& config) {
  Values values;
  load_weights(
      SafetensorsReader(path), config,
      [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> v) {
        EXPECT_EQ(std::int64_t(v.size()), spec.count());
        EXPECT_TRUE(
            values.emplace(layer_name(spec.name, layer), std::vector<float>(v.begin(), v.end()))
                .second);
      });
  return values;
}

Values wanted(const ModelConfig& config) {
  Values values;
  for (const auto& p : parameter_instances(config)) {
    auto& v = values[p.name()];
    v.resize(std::size_t(p.spec.count()));
    fill(p.spec, p.layer, v);
  }
  return values;
}

std::vector<float> stored(const SafetensorsReader& reader, const std::string& name) {
  std::vector<float> v(reader.tensor(name).bytes.size() / sizeof(float));
  read_floats(reader.tensor(name), v);
  return v;
}

struct Stored {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

std::vector<Stored> read_all(const fs::path& path) {
  const SafetensorsReader reader(path);
  std::vector<Stored> list;
  for (const auto& [name, t] : reader.tensors())
    list.push_back({name, t.dtype, t.shape, {t.bytes.begin(), t.bytes.end()}});
  return list;
}

void write_all(const fs::path& path, const std::vector<Stored>& list) {
  std::vector<SafetensorsSpec> specs;
  for (const auto& t : list) specs.push_back({t.name, t.dtype, t.shape});
  SafetensorsWriter writer(path, specs);
  for (const auto& t : list) writer.write(t.name, t.bytes);
  writer.finish();
}

Stored zeros(std::string name, std::vector<std::int64_t> shape, DType dtype = DType::f32) {
  const SafetensorsSpec spec{name, dtype, shape};
  return {std::move(name), dtype, std::move(shape),
          std::vector<std::byte>(std::size_t(spec.bytes()))};
}

// A saved llama whose tensors `change` may change; the user's error on loading, or "".
template <typename Change>
std::string refusal(const ModelConfig& config, const Change& change) {
  const ScratchFolder folder;
  save_weights(folder.path(), config, DType::f32, fill);
  auto list = read_all(folder.path());
  change(list);
  write_all(folder / "model.safetensors", list);
  return input_error_of([&] { load(folder.path(), config); });
}

TEST(Weights, EveryFamilyRoundTripsInEveryType) {
  for (const Family family : {Family::gpt2, Family::llama, Family::mistral, Family::qwen2,
                              Family::qwen3, Family::telechat})
    for (const bool tied : {false, true})
      for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
        const ScratchFolder folder;
        const ModelConfig config = tiny(family, tied);
        save_weights(folder.path(), config, dtype, fill);
        EXPECT_EQ(load(folder.path(), config), wanted(config));
        const SafetensorsReader reader(folder.path());
        EXPECT_EQ(reader.tensors().begin()->second.dtype, dtype);
        EXPECT_EQ(reader.contains("lm_head.weight"), !tied);
        EXPECT_EQ(parse_config(read_json(folder / "config.json"), "test"), config);
      }
}

TEST(Weights, InstancesComeLayerByLayer) {
  const auto list = parameter_instances(tiny(Family::llama, false));
  EXPECT_EQ(list.size(), 1u + 2 * 9 + 2);
  EXPECT_EQ(list.front().name(), "model.embed_tokens.weight");
  EXPECT_EQ(list[9].name(), "model.layers.0.mlp.down_proj.weight");
  EXPECT_EQ(list[10].name(), "model.layers.1.input_layernorm.weight");
  EXPECT_EQ(list.back().name(), "lm_head.weight");
}

// c_attn is [in, q out | k out | v out]: by hand for two inputs and two outputs each.
TEST(Weights, TheFusedTensorOfGpt2HasTheLayoutOfTransformers) {
  const ScratchFolder folder;
  save_weights(folder.path(), two_wide(), DType::f32,
               [](const ParameterSpec& spec, std::int64_t, std::span<float> v) {
                 float first = 0;
                 if (spec.name.find("attn.q.") != spec.name.npos) first = 100;
                 if (spec.name.find("attn.k.") != spec.name.npos) first = 200;
                 if (spec.name.find("attn.v.") != spec.name.npos) first = 300;
                 for (std::size_t i = 0; i < v.size(); ++i) v[i] = first + float(i);
               });
  const SafetensorsReader reader(folder.path());
  EXPECT_EQ(reader.tensor("transformer.h.0.attn.c_attn.weight").shape,
            (std::vector<std::int64_t>{2, 6}));
  EXPECT_EQ(stored(reader, "transformer.h.0.attn.c_attn.weight"),
            (std::vector<float>{100, 101, 200, 201, 300, 301, 102, 103, 202, 203, 302, 303}));
  EXPECT_EQ(stored(reader, "transformer.h.0.attn.c_attn.bias"),
            (std::vector<float>{100, 101, 200, 201, 300, 301}));
  const Values values = load(folder.path(), two_wide());
  EXPECT_EQ(values.at("transformer.h.0.attn.k.weight"), (std::vector<float>{200, 201, 202, 203}));
  EXPECT_EQ(values.at("transformer.h.0.attn.v.bias"), (std::vector<float>{300, 301}));
}

// key_value is [head: k rows, v rows; next head ...]: by hand for two heads of two rows and
// hidden 2.
TEST(Weights, TheFusedTensorOfTelechatGoesHeadByHead) {
  const ScratchFolder folder;
  ModelConfig config = tiny(Family::telechat, false);
  config.hidden = 4, config.heads = config.kv_heads = 2, config.layers = 1;
  const auto kind = [](const ParameterSpec& spec) {
    return spec.name.find(".key.") != spec.name.npos     ? 'k'
           : spec.name.find(".value.") != spec.name.npos ? 'v'
                                                         : ' ';
  };
  save_weights(folder.path(), config, DType::f32,
               [&](const ParameterSpec& spec, std::int64_t, std::span<float> v) {
                 const float first = kind(spec) == 'k' ? 100 : kind(spec) == 'v' ? 200 : 0;
                 for (std::size_t i = 0; i < v.size(); ++i) v[i] = first + float(i);
               });
  const SafetensorsReader reader(folder.path());
  const std::string name = "transformer.h.0.self_attention.key_value.weight";
  EXPECT_EQ(reader.tensor(name).shape, (std::vector<std::int64_t>{8, 4}));
  std::vector<float> expected;
  for (const float first : {100, 200, 108, 208})  // two rows of four each
    for (int i = 0; i < 8; ++i) expected.push_back(first + float(i));
  EXPECT_EQ(stored(reader, name), expected);
  const Values values = load(folder.path(), config);
  for (const auto& [what, first] : {std::pair("key", 100), {"value", 200}}) {
    const auto& v = values.at(std::string("transformer.h.0.self_attention.") + what + ".weight");
    ASSERT_EQ(v.size(), 16u);
    for (std::size_t i = 0; i < v.size(); ++i) EXPECT_EQ(v[i], float(first) + float(i));
  }
}

TEST(Weights, SavingRoundsToTheNearestValueOfTheType) {
  const ScratchFolder folder;
  ModelConfig config = two_wide();
  const float ones[] = {1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, 1.0f + 0x1p-7f, -65504.0f};
  const auto source = [&](const ParameterSpec& spec, std::int64_t, std::span<float> v) {
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = spec.count() == 4 ? ones[i] : 0.0f;
  };
  save_weights(folder.path(), config, DType::bf16, source);
  EXPECT_EQ(load(folder.path(), config).at("transformer.wte.weight"),
            (std::vector<float>{1.0f, 1.0f + 0x1p-6f, 1.0f + 0x1p-7f, -65536.0f}));
  save_weights(folder.path(), config, DType::f16, source);
  EXPECT_EQ(load(folder.path(), config).at("transformer.wte.weight"),
            (std::vector<float>(ones, ones + 4)));
}

TEST(Weights, LargeModelsAreCutIntoShardsWithAnIndex) {
  const ScratchFolder folder;
  const ModelConfig config = tiny(Family::qwen2, false);
  const auto files = save_weights(folder.path(), config, DType::f32, fill, 1000);
  EXPECT_FALSE(fs::exists(folder / "model.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "model.safetensors.index.json"));
  EXPECT_GT(files.size(), 4u);
  EXPECT_EQ(files.size(), folder.names().size());
  for (const auto& file : files) {
    EXPECT_EQ(file.bytes, std::int64_t(fs::file_size(folder / file.name))) << file.name;
    EXPECT_EQ(file.xxh3, xxh3(read_file(folder / file.name))) << file.name;
  }
  EXPECT_EQ(load(folder.path(), config), wanted(config));
}

TEST(Weights, CheckpointsOfTheBareModelAndOldBuffersAreAccepted) {
  const ScratchFolder folder;
  const ModelConfig config = tiny(Family::gpt2, true);
  save_weights(folder.path(), config, DType::f32, fill);
  auto list = read_all(folder.path());
  for (auto& t : list) t.name = t.name.substr(std::string("transformer.").size());
  list.push_back(zeros("h.0.attn.bias", {1, 1, 6, 6}, DType::u8));
  list.push_back(zeros("h.1.attn.masked_bias", {}));
  write_all(folder / "model.safetensors", list);
  EXPECT_EQ(load(folder.path(), config), wanted(config));
}

// GPT-2's first checkpoints keep their causal masks as BOOL, which we never write: U8 of the same
// bytes, renamed in the header.
TEST(Weights, MasksOfTruthValuesAreIgnored) {
  const ScratchFolder folder;
  const ModelConfig config = tiny(Family::gpt2, true);
  save_weights(folder.path(), config, DType::f32, fill);
  auto list = read_all(folder.path());
  list.push_back(zeros("transformer.h.0.attn.bias", {1, 1, 6, 6}, DType::u8));
  list.push_back(zeros("transformer.h.1.attn.masked_bias", {}, DType::u8));
  const fs::path file = folder / "model.safetensors";
  write_all(file, list);
  std::string bytes = read_file(file);
  const std::string u8 = "\"U8\"", truth = "\"BOOL\"";
  int renamed = 0;
  for (auto at = bytes.find(u8); at != bytes.npos; at = bytes.find(u8, at), ++renamed)
    bytes.replace(at, u8.size(), truth);
  ASSERT_EQ(renamed, 2);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  header += 2 * (truth.size() - u8.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  write_file_atomic(file, bytes);
  EXPECT_EQ(load(folder.path(), config), wanted(config));
}

TEST(Weights, AHeadBesideTiedEmbeddingsIsIgnored) {
  const auto add_head = [](std::vector<Stored>& list) {
    list.push_back(zeros("lm_head.weight", {10, 8}));
    list.push_back(zeros("model.layers.0.self_attn.rotary_emb.inv_freq", {1}));
  };
  EXPECT_EQ(refusal(tiny(Family::llama, true), add_head), "");
}

TEST(Weights, AMissingTensorIsNamed) {
  const auto error = refusal(tiny(Family::llama, false), [](auto& list) {
    std::erase_if(list, [](const Stored& t) { return t.name == "lm_head.weight"; });
  });
  EXPECT_TRUE(contains(error, "lm_head.weight")) << error;
}

TEST(Weights, AWrongShapeOrTypeIsNamedWithFoundAndWanted) {
  const auto change = [](const Stored& to) {
    return refusal(tiny(Family::llama, false), [&](auto& list) {
      for (auto& t : list)
        if (t.name == to.name) t = to;
    });
  };
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  const auto shape = change(zeros(name, {8, 12}));
  EXPECT_TRUE(contains(shape, name) && contains(shape, "found [8, 12], wanted [12, 8]")) << shape;
  const auto type = change(zeros(name, {12, 8}, DType::i32));
  EXPECT_TRUE(contains(type, name) && contains(type, "found I32, wanted F64")) << type;
}

TEST(Weights, ATensorThatTheModelDoesNotHaveIsAnErrorBeforeAnythingIsLoaded) {
  const ScratchFolder folder;
  const ModelConfig config = tiny(Family::llama, false);
  save_weights(folder.path(), config, DType::f32, fill);
  auto list = read_all(folder.path());
  list.push_back(zeros("model.layers.0.self_attn.q_norm.weight", {2}));
  write_all(folder / "model.safetensors", list);
  int calls = 0;
  const auto error = input_error_of(
      [&] { load_weights(SafetensorsReader(folder.path()), config, [&](auto&&...) { ++calls; }); });
  EXPECT_TRUE(contains(error, "q_norm") && contains(error, "F32 [2]")) << error;
  EXPECT_EQ(calls, 0);
  save_weights(folder.path(), config, DType::f32, fill);
  ModelConfig shallow = config;
  shallow.layers = 1;
  EXPECT_TRUE(contains(input_error_of([&] { load(folder.path(), shallow); }), "layers.1."));
}

}  // namespace
}  // namespace autarky
