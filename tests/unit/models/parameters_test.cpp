#include "models/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "models/presets.h"

namespace autarky {
namespace {

ParameterSpec find(const ModelConfig& c, const std::string& name) {
  for (const auto& p : parameters(c))
    if (p.name == name) return p;
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

TensorMap find_map(const ModelConfig& c, const std::string& name) {
  for (const auto& m : tensor_maps(c))
    if (m.hf_name == name) return m;
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

using Dims = std::vector<Dim>;
using Shape = std::vector<std::int64_t>;

TEST(Parameters, LlamaHasHeadsAsGroupsAndQueriesPerGroup) {
  const ModelConfig c = preset_config("llama3-8b");
  EXPECT_EQ(find(c, "model.layers.{}.self_attn.q_proj.weight").dims,
            (Dims{{'g', 8}, {'r', 4}, {'d', 128}, {'e', 4096}}));
  EXPECT_EQ(find(c, "model.layers.{}.self_attn.k_proj.weight").dims,
            (Dims{{'g', 8}, {'d', 128}, {'e', 4096}}));
  EXPECT_EQ(find(c, "model.layers.{}.self_attn.o_proj.weight").dims,
            (Dims{{'e', 4096}, {'g', 8}, {'r', 4}, {'d', 128}}));
  EXPECT_EQ(find(c, "model.layers.{}.mlp.down_proj.weight").dims,
            (Dims{{'e', 4096}, {'f', 14336}}));
  EXPECT_EQ(find(c, "lm_head.weight").block, ParameterBlock::head);
  EXPECT_EQ(find(c, "model.embed_tokens.weight").block, ParameterBlock::embed);
}

TEST(Parameters, MatricesAndEmbeddingsDecayNormsAndBiasesDoNot) {
  for (const char* preset : {"gpt2-124m", "qwen2-0.5b", "telechat2-3b"})
    for (const auto& p : parameters(preset_config(preset))) {
      const bool bias = p.name.ends_with(".bias");
      const bool norm = p.name.find("norm") != p.name.npos || p.name.find("ln_") != p.name.npos;
      EXPECT_EQ(p.weight_decay, !bias && !norm) << p.name;
      EXPECT_EQ(p.init.kind, bias   ? InitKind::zeros
                             : norm ? InitKind::ones
                                    : InitKind::normal)
          << p.name;
    }
}

TEST(Parameters, Gpt2ScalesItsProjectionsOntoTheResidual) {
  const ModelConfig c = preset_config("gpt2-124m");
  const double scaled = 0.02 / std::sqrt(24.0);
  EXPECT_DOUBLE_EQ(find(c, "transformer.h.{}.attn.c_proj.weight").init.std, scaled);
  EXPECT_DOUBLE_EQ(find(c, "transformer.h.{}.mlp.c_proj.weight").init.std, scaled);
  EXPECT_DOUBLE_EQ(find(c, "transformer.h.{}.mlp.c_fc.weight").init.std, 0.02);
  EXPECT_DOUBLE_EQ(find(c, "transformer.wpe.weight").init.std, 0.02);
  EXPECT_DOUBLE_EQ(
      find(preset_config("llama-17m"), "model.layers.{}.self_attn.o_proj.weight").init.std, 0.02);
}

TEST(Parameters, Gpt2sFusedTensorIsQueryKeyAndValueSideBySide) {
  const ModelConfig c = preset_config("gpt2-124m");
  EXPECT_EQ(find(c, "transformer.h.{}.attn.q.weight").dims,
            (Dims{{'e', 768}, {'g', 12}, {'r', 1}, {'d', 64}}));
  const TensorMap weight = find_map(c, "transformer.h.{}.attn.c_attn.weight");
  EXPECT_EQ(weight.hf_shape, (Shape{768, 2304}));
  EXPECT_EQ(weight.concat_dim, 1);
  EXPECT_EQ(weight.pieces,
            (std::vector<TensorMap::Piece>{{"transformer.h.{}.attn.q.weight", 768},
                                           {"transformer.h.{}.attn.k.weight", 768},
                                           {"transformer.h.{}.attn.v.weight", 768}}));
  const TensorMap bias = find_map(c, "transformer.h.{}.attn.c_attn.bias");
  EXPECT_EQ(bias.hf_shape, (Shape{2304}));
  EXPECT_EQ(bias.concat_dim, 0);
  EXPECT_EQ(bias.pieces.size(), 3u);
  EXPECT_EQ(find_map(c, "transformer.h.{}.mlp.c_fc.weight").hf_shape, (Shape{768, 3072}));
  EXPECT_EQ(find_map(c, "transformer.h.{}.mlp.c_proj.weight").hf_shape, (Shape{3072, 768}));
}

TEST(Parameters, TelechatsFusedTensorIsKeyAndValueHeadByHead) {
  const ModelConfig c = preset_config("telechat2-115b");
  const TensorMap map = find_map(c, "transformer.h.{}.self_attention.key_value.weight");
  EXPECT_EQ(map.hf_shape, (Shape{2048, 8192}));
  EXPECT_EQ(map.concat_dim, 0);
  EXPECT_EQ(map.turns, 8);
  EXPECT_EQ(map.pieces, (std::vector<TensorMap::Piece>{
                            {"transformer.h.{}.self_attention.key.weight", 1024},
                            {"transformer.h.{}.self_attention.value.weight", 1024}}));
  EXPECT_EQ(find_map(c, "transformer.h.{}.self_attention.query.weight").turns, 1);
}

TEST(Parameters, Qwen3HasANormOfEachHeadsQueriesAndKeys) {
  ModelConfig c = preset_config("qwen2-0.5b");
  c.family = Family::qwen3;
  c.qk_norm = true;
  for (const char* name : {"q_norm", "k_norm"}) {
    const ParameterSpec p = find(c, std::string("model.layers.{}.self_attn.") + name + ".weight");
    EXPECT_EQ(p.dims, (Dims{{'d', 64}}));
    EXPECT_EQ(p.init.kind, InitKind::ones);
  }
}

// What transformers, and the code beside TeleChat2's checkpoints, call the tensors.
TEST(Parameters, TensorsHaveTheNamesOfTheCheckpoints) {
  const auto names = [](const char* preset) {
    std::set<std::string> found;
    for (const auto& m : tensor_maps(preset_config(preset))) found.insert(m.hf_name);
    return found;
  };
  const std::string h = "transformer.h.{}.", l = "model.layers.{}.";
  EXPECT_EQ(
      names("gpt2-124m"),
      (std::set<std::string>{"transformer.wte.weight", "transformer.wpe.weight", h + "ln_1.weight",
                             h + "ln_1.bias", h + "attn.c_attn.weight", h + "attn.c_attn.bias",
                             h + "attn.c_proj.weight", h + "attn.c_proj.bias", h + "ln_2.weight",
                             h + "ln_2.bias", h + "mlp.c_fc.weight", h + "mlp.c_fc.bias",
                             h + "mlp.c_proj.weight", h + "mlp.c_proj.bias",
                             "transformer.ln_f.weight", "transformer.ln_f.bias"}));
  std::set<std::string> llama = {"model.embed_tokens.weight",
                                 l + "input_layernorm.weight",
                                 l + "self_attn.q_proj.weight",
                                 l + "self_attn.k_proj.weight",
                                 l + "self_attn.v_proj.weight",
                                 l + "self_attn.o_proj.weight",
                                 l + "post_attention_layernorm.weight",
                                 l + "mlp.gate_proj.weight",
                                 l + "mlp.up_proj.weight",
                                 l + "mlp.down_proj.weight",
                                 "model.norm.weight",
                                 "lm_head.weight"};
  EXPECT_EQ(names("llama-17m"), llama);
  llama.erase("lm_head.weight");  // tied
  for (const char* x : {"q", "k", "v"}) llama.insert(l + "self_attn." + x + "_proj.bias");
  EXPECT_EQ(names("qwen2-0.5b"), llama);
  const std::string a = h + "self_attention.", m = h + "mlp.";
  EXPECT_EQ(
      names("telechat2-7b"),
      (std::set<std::string>{"transformer.word_embeddings.weight", h + "input_layernorm.weight",
                             a + "query.weight", a + "key_value.weight", a + "dense.weight",
                             a + "dense.bias", h + "post_attention_layernorm.weight",
                             m + "gate_proj.weight", m + "up_proj.weight", m + "down_proj.weight",
                             m + "down_proj.bias", "transformer.ln_f.weight", "lm_head.weight"}));
}

TEST(Parameters, EveryParameterLiesInExactlyOneTensorOfItsSize) {
  for (const auto& preset : presets()) {
    std::multiset<std::string> wanted, found;
    std::int64_t count = 0;
    for (const auto& p : parameters(preset.config)) wanted.insert(p.name);
    for (const auto& m : tensor_maps(preset.config)) {
      std::int64_t n = m.block == ParameterBlock::layer ? preset.config.layers : 1, along = 0;
      for (const auto extent : m.hf_shape) n *= extent;
      for (const auto& piece : m.pieces) found.insert(piece.parameter), along += piece.extent;
      EXPECT_EQ(along, m.hf_shape[std::size_t(m.concat_dim)]) << m.hf_name;
      count += n;
    }
    EXPECT_EQ(found, wanted) << preset.name;
    EXPECT_EQ(count, parameter_count(preset.config)) << preset.name;
  }
}

TEST(Parameters, LayerNamesAreFilledIn) {
  EXPECT_EQ(layer_name("model.layers.{}.mlp.up_proj.weight", 17),
            "model.layers.17.mlp.up_proj.weight");
  EXPECT_EQ(layer_name("lm_head.weight", 3), "lm_head.weight");
}

}  // namespace
}  // namespace autarky
