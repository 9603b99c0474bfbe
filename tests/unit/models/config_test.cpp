#include "models/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace autarky {
namespace {

Json llama_json() {
  return parse_json(R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256, "max_position_embeddings": 131072, "rms_norm_eps": 1e-05,
    "rope_theta": 500000.0, "hidden_act": "silu", "bos_token_id": 128000,
    "eos_token_id": [128001, 128009], "attention_bias": false, "tie_word_embeddings": false,
    "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"}})",
                    "test");
}

Json gpt2_json() {
  return parse_json(R"({"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12,
    "n_positions": 1024, "vocab_size": 50257, "layer_norm_epsilon": 1e-05,
    "activation_function": "gelu_new", "attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1,
    "bos_token_id": 50256, "eos_token_id": 50256})",
                    "test");
}

Json qwen2_json() {
  return parse_json(R"({"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
    "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    "vocab_size": 151936, "max_position_embeddings": 32768, "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0, "tie_word_embeddings": true, "use_sliding_window": false,
    "sliding_window": 32768, "max_window_layers": 24, "attention_dropout": 0.0})",
                    "test");
}

// Keys and values as on the model pages of Mistral-7B-v0.1 and Qwen3-0.6B.
Json mistral_json() {
  return parse_json(R"({"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 32000, "max_position_embeddings": 32768, "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0, "sliding_window": 4096, "hidden_act": "silu",
    "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": false})",
                    "test");
}

Json qwen3_json() {
  return parse_json(R"({"model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
    "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
    "vocab_size": 151936, "max_position_embeddings": 40960, "rms_norm_eps": 1e-06,
    "rope_theta": 1000000, "rope_scaling": null, "tie_word_embeddings": true,
    "attention_bias": false, "use_sliding_window": false, "sliding_window": null,
    "max_window_layers": 28})",
                    "test");
}

Json telechat_json() {
  return parse_json(R"({"model_type": "telechat", "hidden_size": 4096, "ffn_hidden_size": 12288,
    "n_layer": 30, "n_head": 32, "num_key_value_heads": 8, "vocab_size": 131072,
    "layer_norm_epsilon": 1e-05, "hidden_dropout": 0.0, "attention_dropout": 0.0,
    "seq_length": 8192, "training_seqlen": 8192, "base_seqlen": 8192, "embed_layernorm": false,
    "apply_residual_connection_post_layernorm": false, "flash_attn": true, "logn": false,
    "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": false})",
                    "test");
}

Json with(Json json, const char* key, const Json& value) {
  json[key] = value;
  return json;
}

// The message of the user's error that `json` causes.
std::string refusal(const Json& json) {
  try {
    parse_config(json, "dir/config.json");
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 2);
    return e.what();
  }
  return "accepted";
}

std::string refusal(Json json, const char* key, const Json& value) {
  json[key] = value;
  return refusal(json);
}

void expect_says(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(message.find(part), message.npos) << message;
}

TEST(Config, ReadsLlama3) {
  const ModelConfig c = parse_config(llama_json(), "test");
  EXPECT_EQ(c.family, Family::llama);
  EXPECT_EQ(c.layers, 32);
  EXPECT_EQ(c.hidden, 4096);
  EXPECT_EQ(c.heads, 32);
  EXPECT_EQ(c.kv_heads, 8);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.ffn, 14336);
  EXPECT_EQ(c.norm, NormKind::rms);
  EXPECT_DOUBLE_EQ(c.norm_eps, 1e-5);
  EXPECT_EQ(c.position, PositionKind::rope);
  EXPECT_EQ(c.rope.kind, RopeKind::llama3);
  EXPECT_EQ(c.rope.theta, 500000);
  EXPECT_EQ(c.rope.factor, 8);
  EXPECT_EQ(c.rope.original_max_positions, 8192);
  EXPECT_FALSE(c.qkv_bias || c.attn_output_bias || c.ffn_input_bias || c.ffn_output_bias);
  EXPECT_EQ(c.bos_id, 128000);
  EXPECT_EQ(c.eos_ids, (std::vector<std::int64_t>{128001, 128009}));
}

TEST(Config, ReadsGpt2AndNotesItsDropout) {
  const ModelConfig c = parse_config(gpt2_json(), "test");
  EXPECT_EQ(c.family, Family::gpt2);
  EXPECT_EQ(c.ffn, 3072);
  EXPECT_EQ(c.kv_heads, 12);
  EXPECT_EQ(c.norm, NormKind::layer);
  EXPECT_EQ(c.activation, Activation::gelu_tanh);
  EXPECT_EQ(c.position, PositionKind::learned);
  EXPECT_TRUE(c.qkv_bias && c.attn_output_bias && c.ffn_input_bias && c.ffn_output_bias);
  EXPECT_TRUE(c.tied_embeddings);
  EXPECT_EQ(c.notes.size(), 3u);
  expect_says(c.notes.at(0), {"attn_pdrop", "0.1"});
}

TEST(Config, ReadsQwen2WithBiasesOnQueryKeyAndValue) {
  const ModelConfig c = parse_config(qwen2_json(), "test");
  EXPECT_EQ(c.family, Family::qwen2);
  EXPECT_TRUE(c.qkv_bias);
  EXPECT_FALSE(c.attn_output_bias || c.ffn_input_bias || c.ffn_output_bias);
  EXPECT_TRUE(c.tied_embeddings);
  EXPECT_TRUE(c.notes.empty());
  EXPECT_EQ(c.bos_id, -1);
}

TEST(Config, ReadsTheWindowOfMistralWhichMayBeNull) {
  const ModelConfig c = parse_config(mistral_json(), "test");
  EXPECT_EQ(c.family, Family::mistral);
  EXPECT_EQ(c.window, 4096);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_FALSE(c.qkv_bias || c.attn_output_bias || c.ffn_input_bias || c.ffn_output_bias);
  EXPECT_EQ(parse_config(with(mistral_json(), "sliding_window", nullptr), "test").window, 0);
}

// MistralConfig's defaults: 8 key/value heads, a window of 4096, 131072 positions.
TEST(Config, AbsentKeysOfMistralMeanWhatTransformersTakesThemToMean) {
  Json json = mistral_json();
  for (const char* key : {"sliding_window", "num_key_value_heads", "max_position_embeddings"})
    json.erase(key);
  const ModelConfig c = parse_config(json, "test");
  EXPECT_EQ(c.window, 4096);
  EXPECT_EQ(c.kv_heads, 8);
  EXPECT_EQ(c.max_positions, 131072);
  EXPECT_EQ(parse_config(with(json, "num_key_value_heads", nullptr), "test").kv_heads, 32);
}

TEST(Config, ReadsQwen3WithItsNormsOfHeadsAndItsHeadSize) {
  const ModelConfig c = parse_config(qwen3_json(), "test");
  EXPECT_EQ(c.family, Family::qwen3);
  EXPECT_TRUE(c.qk_norm);
  EXPECT_FALSE(c.qkv_bias || c.attn_output_bias || c.ffn_input_bias || c.ffn_output_bias);
  EXPECT_EQ(c.head_dim, 128);  // 16 heads of it are wider than the hidden size
  EXPECT_EQ(c.window, 0);
  Json json = qwen3_json();
  json.erase("head_dim");
  EXPECT_EQ(parse_config(json, "test").head_dim, 128);
  const ModelConfig biased = parse_config(with(json, "attention_bias", true), "test");
  EXPECT_TRUE(biased.qkv_bias && biased.attn_output_bias);
}

TEST(Config, ReadsTheWindowOfQwenIfAllLayersHaveItOrNone) {
  Json json = with(qwen2_json(), "use_sliding_window", true);  // from layer 24 of 24: nowhere
  EXPECT_EQ(parse_config(json, "test").window, 0);
  json["max_window_layers"] = 0;
  EXPECT_EQ(parse_config(json, "test").window, 32768);
  json["layer_types"] = std::vector<std::string>(24, "full_attention");
  EXPECT_EQ(parse_config(json, "test").window, 0);
  json["layer_types"] = std::vector<std::string>(24, "sliding_attention");
  json["sliding_window"] = 128;
  EXPECT_EQ(parse_config(json, "test").window, 128);
  EXPECT_EQ(parse_config(with(json, "sliding_window", nullptr), "test").window, 0);
  EXPECT_EQ(parse_config(with(json, "use_sliding_window", false), "test").window, 0);
}

TEST(Config, RefusesAWindowInSomeLayersOnly) {
  Json json = with(qwen2_json(), "use_sliding_window", true);
  const char* why = "only some layers";
  expect_says(refusal(json, "max_window_layers", 20),
              {"max_window_layers", "found 20", "all 24 layers, or in none", why});
  std::vector<std::string> types(24, "sliding_attention");
  types[5] = "full_attention";
  expect_says(refusal(json, "layer_types", types), {"layer_types", "all 24 layers", why});
  types[5] = "chunked_attention";
  expect_says(refusal(json, "layer_types", types), {"layer_types"});
  expect_says(refusal(json, "layer_types", std::vector<std::string>(23, "sliding_attention")),
              {"layer_types", "all 24 layers"});
  expect_says(refusal(json, "layer_types", {1, 2}), {"layer_types", "a list of texts"});
  expect_says(refusal(json, "max_window_layers", -1), {"max_window_layers", "from 0"});
  expect_says(refusal(mistral_json(), "sliding_window", 0), {"sliding_window", "from 1"});
  expect_says(refusal(mistral_json(), "sliding_window", 3e9), {"sliding_window"});
}

TEST(Config, ReadsTeleChatsOwnKeys) {
  const ModelConfig c = parse_config(telechat_json(), "test");
  EXPECT_EQ(c.family, Family::telechat);
  EXPECT_EQ(c.layers, 30);
  EXPECT_EQ(c.heads, 32);
  EXPECT_EQ(c.kv_heads, 8);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.ffn, 12288);
  EXPECT_EQ(c.norm, NormKind::rms);
  EXPECT_EQ(c.norm_eps, 1e-5);
  EXPECT_EQ(c.max_positions, 8192);
  EXPECT_EQ(c.rope, RopeConfig{});
  EXPECT_TRUE(c.attn_output_bias && c.ffn_output_bias);
  EXPECT_FALSE(c.qkv_bias || c.ffn_input_bias || c.tied_embeddings);
  Json json = telechat_json();
  for (const char* key : {"num_key_value_heads", "training_seqlen", "base_seqlen"}) json.erase(key);
  json["seq_length"] = 4096;
  const ModelConfig older = parse_config(json, "test");
  EXPECT_EQ(older.kv_heads, 32);
  EXPECT_EQ(older.max_positions, 4096);
}

TEST(Config, ReadsTeleChatsStretchedPositions) {
  const ModelConfig c = parse_config(with(telechat_json(), "training_seqlen", 32768), "test");
  EXPECT_EQ(c.max_positions, 32768);
  EXPECT_EQ(c.rope.kind, RopeKind::telechat);
  EXPECT_EQ(c.rope.factor, 4);
  EXPECT_EQ(c.rope.original_max_positions, 8192);
}

TEST(Config, RefusesVariantsOfTeleChat) {
  expect_says(refusal(telechat_json(), "embed_layernorm", true), {"embed_layernorm", "variant"});
  expect_says(refusal(telechat_json(), "apply_residual_connection_post_layernorm", true),
              {"post_layernorm", "variant"});
  expect_says(refusal(telechat_json(), "n_head", 30), {"4096", "30 heads"});
  expect_says(refusal(telechat_json(), "rope_scaling", 1), {"accepted"});  // its code reads none
  Json json = telechat_json();
  json.erase("ffn_hidden_size");
  expect_says(refusal(json), {"ffn_hidden_size", "missing"});
}

TEST(Config, ReadsTheHeadSizeWhereItIsGiven) {
  Json json = llama_json();
  json["head_dim"] = 96;
  EXPECT_EQ(parse_config(json, "test").head_dim, 96);
}

TEST(Config, ReadsRopeScalingInAllItsSpellings) {
  Json json = llama_json();
  json["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(parse_config(json, "test").rope.kind, RopeKind::linear);
  json["rope_scaling"] = {{"rope_type", "dynamic"}, {"factor", 2.0}};
  EXPECT_EQ(parse_config(json, "test").rope.kind, RopeKind::ntk);
  EXPECT_EQ(parse_config(json, "test").rope.original_max_positions, 131072);
  json["rope_scaling"] = nullptr;
  EXPECT_EQ(parse_config(json, "test").rope.kind, RopeKind::none);
  json.erase("rope_theta");
  json["rope_parameters"] = {
      {"rope_type", "yarn"}, {"rope_theta", 1e6}, {"original_max_position_embeddings", 32768}};
  const RopeConfig rope = parse_config(json, "test").rope;
  EXPECT_EQ(rope.kind, RopeKind::yarn);
  EXPECT_EQ(rope.theta, 1e6);
  EXPECT_EQ(rope.factor, 4);  // 131072 / 32768
}

TEST(Config, WritesWhatItReads) {
  Json yarn = qwen2_json();
  yarn["rope_scaling"] = {{"type", "yarn"},
                          {"factor", 4.0},
                          {"original_max_position_embeddings", 8192},
                          {"mscale", 0.7},
                          {"mscale_all_dim", 0.9}};
  Json biased = llama_json();
  biased["attention_bias"] = biased["mlp_bias"] = true;
  Json windowed = with(qwen3_json(), "use_sliding_window", true);
  windowed["sliding_window"] = 100, windowed["max_window_layers"] = 0;
  for (const Json& json : {llama_json(), gpt2_json(), qwen2_json(), yarn, biased, mistral_json(),
                           with(mistral_json(), "sliding_window", nullptr), qwen3_json(), windowed,
                           with(qwen3_json(), "attention_bias", true), telechat_json(),
                           with(telechat_json(), "training_seqlen", 32768)}) {
    ModelConfig c = parse_config(json, "test");
    c.notes.clear();
    EXPECT_EQ(parse_config(to_config_json(c), "again"), c) << json.dump();
  }
}

TEST(Config, WritesTheKeysThatTransformersNeeds) {
  const Json json = to_config_json(parse_config(llama_json(), "test"), DType::bf16);
  EXPECT_EQ(json["architectures"], Json::array({"LlamaForCausalLM"}));
  EXPECT_EQ(json["model_type"], "llama");
  EXPECT_EQ(json["torch_dtype"], "bfloat16");
  EXPECT_EQ(json["rope_scaling"]["rope_type"], "llama3");
  EXPECT_EQ(json["num_key_value_heads"], 8);
  const Json mistral = to_config_json(parse_config(mistral_json(), "test"));
  EXPECT_EQ(mistral["architectures"], Json::array({"MistralForCausalLM"}));
  EXPECT_EQ(mistral["sliding_window"], 4096);
  EXPECT_FALSE(mistral.contains("attention_bias"));
  const Json qwen3 = to_config_json(parse_config(qwen3_json(), "test"));
  EXPECT_EQ(qwen3["architectures"], Json::array({"Qwen3ForCausalLM"}));
  EXPECT_EQ(qwen3["use_sliding_window"], false);
}

// The message of the error on writing what `change` makes of a model.
template <class Change>
std::string write_refusal(const Json& json, const Change& change) {
  ModelConfig c = parse_config(json, "test");
  change(c);
  try {
    to_config_json(c);
  } catch (const Error& e) {
    return e.what();
  }
  return "written";
}

TEST(Config, RefusesToWriteWhatTheFamilyHasNoKeysFor) {
  const auto attn_bias = [](ModelConfig& c) { c.attn_output_bias = !c.attn_output_bias; };
  for (const Json& json :
       {llama_json(), gpt2_json(), mistral_json(), qwen2_json(), qwen3_json(), telechat_json()})
    expect_says(write_refusal(json, attn_bias), {"biases"});
  const auto window = [](ModelConfig& c) { c.window = 5; };
  for (const Json& json : {llama_json(), gpt2_json(), telechat_json()})
    expect_says(write_refusal(json, window), {"sliding window"});
  const auto norm = [](ModelConfig& c) { c.qk_norm = !c.qk_norm; };
  for (const Json& json : {llama_json(), mistral_json(), qwen3_json()})
    expect_says(write_refusal(json, norm), {"norms of queries and keys"});
  expect_says(write_refusal(llama_json(), [](auto& c) { c.rope.kind = RopeKind::telechat; }),
              {"rotary"});
  expect_says(write_refusal(telechat_json(), [](auto& c) { c.rope.theta = 5000; }), {"rotary"});
}

TEST(Config, NamesTheFamiliesItKnowsWhenItDoesNotKnowOne) {
  expect_says(refusal(llama_json(), "model_type", "mamba"),
              {"dir/config.json", "mamba", "gpt2, llama, mistral, qwen2, qwen3, telechat"});
  expect_says(refusal(Json::object()), {"model_type"});
  expect_says(refusal(Json::array()), {"object"});
}

TEST(Config, RefusesNonsenseWithKeyFoundAndWanted) {
  expect_says(refusal(llama_json(), "hidden_size", 0), {"hidden_size", "found 0", "from 1"});
  expect_says(refusal(llama_json(), "num_hidden_layers", -3), {"num_hidden_layers", "-3"});
  expect_says(refusal(llama_json(), "vocab_size", 1.5), {"vocab_size", "1.5"});
  expect_says(refusal(llama_json(), "vocab_size", "many"), {"vocab_size", "many"});
  expect_says(refusal(llama_json(), "intermediate_size", 18446744073709551615u),
              {"intermediate_size", "18446744073709551615"});
  expect_says(refusal(llama_json(), "num_key_value_heads", 5), {"32 heads", "5"});
  expect_says(refusal(llama_json(), "num_attention_heads", 7), {"4096", "7 heads"});
  expect_says(refusal(llama_json(), "head_dim", 33), {"head_dim 33", "even"});
  expect_says(refusal(llama_json(), "rms_norm_eps", 0), {"rms_norm_eps"});
  expect_says(refusal(llama_json(), "rope_theta", 1), {"rope_theta"});
  expect_says(refusal(llama_json(), "eos_token_id", "end"), {"eos_token_id"});
  expect_says(refusal(llama_json(), "tie_word_embeddings", 1), {"tie_word_embeddings", "true"});
  Json missing = llama_json();
  missing.erase("vocab_size");
  expect_says(refusal(missing), {"vocab_size", "missing"});
}

TEST(Config, RefusesModelsBeyondAnyMachine) {
  Json json = llama_json();
  json["hidden_size"] = json["intermediate_size"] = 1 << 26;
  json["num_hidden_layers"] = 100000;
  json["head_dim"] = 128;
  expect_says(refusal(json), {"parameters", "1e+15"});
}

TEST(Config, RefusesFeaturesThatWouldChangeTheNumbers) {
  expect_says(refusal(llama_json(), "hidden_act", "relu"), {"hidden_act", "relu", "silu"});
  expect_says(refusal(gpt2_json(), "activation_function", "gelu"), {"activation_function"});
  expect_says(refusal(gpt2_json(), "scale_attn_by_inverse_layer_idx", true), {"not supported"});
  expect_says(refusal(llama_json(), "partial_rotary_factor", 0.5), {"partial_rotary_factor"});
  expect_says(refusal(llama_json(), "quantization_config", Json::object()),
              {"quantization_config"});
}

TEST(Config, RefusesBadRopeScaling) {
  const auto scaling = [](const Json& value) {
    return refusal(llama_json(), "rope_scaling", value);
  };
  expect_says(scaling({{"rope_type", "longrope"}, {"factor", 2}}), {"longrope", "yarn", "llama3"});
  expect_says(scaling({{"rope_type", "telechat"}, {"factor", 2}}), {"found \"telechat\""});
  expect_says(scaling({{"rope_type", "linear"}}), {"factor", "missing"});
  expect_says(scaling({{"rope_type", "linear"}, {"factor", 0.5}}), {"factor", "0.5"});
  expect_says(scaling({{"rope_type", "llama3"},
                       {"factor", 8},
                       {"low_freq_factor", 4},
                       {"high_freq_factor", 4}}),
              {"high_freq_factor", "more than low_freq_factor"});
  expect_says(scaling(Json("yarn")), {"rope_scaling", "object"});
}

}  // namespace
}  // namespace autarky
