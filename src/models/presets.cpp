#include "models/presets.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/words.h"

namespace autarky {
namespace {

struct Shape {
  std::int64_t layers, hidden, heads, kv_heads, ffn, vocab, max_positions;
};

ModelConfig llama(const Shape& s, double theta = 10000) {
  ModelConfig c;
  c.layers = s.layers;
  c.hidden = s.hidden;
  c.heads = s.heads;
  c.kv_heads = s.kv_heads;
  c.head_dim = s.hidden / s.heads;
  c.ffn = s.ffn;
  c.vocab = s.vocab;
  c.max_positions = s.max_positions;
  c.norm_eps = 1e-5;
  c.rope.theta = theta;
  return c;
}

// Ours, for the first run on any machine: wide rather than deep, tied, grouped queries, and dims
// that tensor (2) and pipeline (4) parallelism divide.
ModelConfig quickstart() {
  ModelConfig c = llama({4, 384, 6, 2, 1024, 8192, 1024});
  c.tied_embeddings = true;
  return c;
}

// config.json of openai-community/gpt2.
ModelConfig gpt2() {
  ModelConfig c = llama({12, 768, 12, 12, 3072, 50257, 1024});
  c.family = Family::gpt2;
  c.norm = NormKind::layer;
  c.activation = Activation::gelu_tanh;
  c.position = PositionKind::learned;
  c.qkv_bias = c.attn_output_bias = c.ffn_input_bias = c.ffn_output_bias = true;
  c.tied_embeddings = true;
  c.bos_id = 50256;
  c.eos_ids = {50256};
  return c;
}

// config.json of Qwen/Qwen2-0.5B, -7B and -72B; arXiv:2407.10671, table 1.
ModelConfig qwen2(const Shape& s, bool tied, double eps) {
  ModelConfig c = llama(s, 1e6);
  c.family = Family::qwen2;
  c.norm_eps = eps;
  c.qkv_bias = true;
  c.tied_embeddings = tied;
  c.bos_id = 151643;
  c.eos_ids = {151643};
  return c;
}

// config.json of Qwen/Qwen3-0.6B-Base: heads are wider than hidden size / heads.
ModelConfig qwen3_06b() {
  ModelConfig c = qwen2({28, 1024, 16, 8, 3072, 151936, 32768}, true, 1e-6);
  c.family = Family::qwen3;
  c.head_dim = 128;
  c.qkv_bias = false;
  c.qk_norm = true;
  return c;
}

// config.json of mistralai/Mistral-7B-v0.1; arXiv:2310.06825, table 1.
ModelConfig mistral_7b() {
  ModelConfig c = llama({32, 4096, 32, 8, 14336, 32000, 32768});
  c.family = Family::mistral;
  c.window = 4096;
  c.bos_id = 1;
  c.eos_ids = {2};
  return c;
}

// config.json of HuggingFaceTB/SmolLM2-135M.
ModelConfig smollm2_135m() {
  ModelConfig c = llama({30, 576, 9, 3, 1536, 49152, 8192}, 100000);
  c.tied_embeddings = true;
  c.initializer_range = 0.041666666666666664;
  c.bos_id = 0;
  c.eos_ids = {0};
  return c;
}

// config.json of meta-llama/Meta-Llama-3-8B and -70B; arXiv:2407.21783, table 3.
ModelConfig llama3(const Shape& s) {
  ModelConfig c = llama(s, 500000);
  c.bos_id = 128000;
  c.eos_ids = {128001};
  return c;
}

// config.json of meta-llama/Llama-3.1-405B: the context was stretched from 8,192 positions.
ModelConfig llama3_405b() {
  ModelConfig c = llama3({126, 16384, 128, 8, 53248, 128256, 131072});
  c.rope.kind = RopeKind::llama3;
  c.rope.factor = 8;
  c.rope.original_max_positions = 8192;
  return c;
}

// Shapes: README of github.com/Tele-AI/TeleChat2 (layers, hidden, FFN, heads, untied). Vocabulary,
// positions, eps, token ids and the 115B's 8 key/value heads: the 7B, 35B and 115B files of its
// mindformers-telechat/research/telechat2. Biases on the attention's output and on down only, and
// theta: its llama_factory_training/modeling_telechat2.py. Not from a source: the 3B's vocabulary
// (taken to be its sisters'), initializer_range.
ModelConfig telechat2(const Shape& s) {
  ModelConfig c = llama(s);
  c.family = Family::telechat;
  c.attn_output_bias = c.ffn_output_bias = true;
  c.bos_id = 1;
  c.eos_ids = {2};
  return c;
}

// arXiv:2404.16645 (52B) and arXiv:2407.02783 (1T), shapes quoted, not read there: Llama's block,
// no biases, head untied (model card of CofeAI/Tele-FLM-1T). Not from a source: eps, theta. Its muP
// multipliers of embedding and logits are not modelled; they change no size and no cost.
ModelConfig tele_flm(const Shape& s) { return llama(s); }

}  // namespace

// Shapes: layers, hidden, heads, key/value heads, FFN, vocabulary, positions.
std::vector<Preset> presets() {
  return {
      {"quickstart", quickstart()},
      {"llama-17m", llama({6, 384, 6, 6, 1024, 8192, 2048})},
      {"gpt2-124m", gpt2()},
      {"smollm2-135m", smollm2_135m()},
      {"llama-160m", llama({12, 768, 12, 12, 2048, 50257, 2048})},
      {"qwen2-0.5b", qwen2({24, 896, 14, 2, 4864, 151936, 131072}, true, 1e-6)},
      {"qwen3-0.6b", qwen3_06b()},
      {"telechat2-3b", telechat2({24, 3072, 24, 24, 6144, 131072, 8192})},
      {"telechat2-7b", telechat2({30, 4096, 32, 32, 12288, 131072, 8192})},
      {"mistral-7b", mistral_7b()},
      {"qwen2-7b", qwen2({28, 3584, 28, 4, 18944, 152064, 131072}, false, 1e-6)},
      {"llama3-8b", llama3({32, 4096, 32, 8, 14336, 128256, 8192})},
      {"telechat2-35b", telechat2({64, 6144, 48, 48, 20480, 131072, 8192})},
      {"tele-flm-52b", tele_flm({64, 8192, 64, 64, 21824, 80000, 4096})},
      {"llama3-70b", llama3({80, 8192, 64, 8, 28672, 128256, 8192})},
      {"qwen2-72b", qwen2({80, 8192, 64, 8, 29568, 152064, 131072}, false, 1e-5)},
      {"telechat2-115b", telechat2({96, 8192, 64, 8, 40960, 131072, 8192})},
      {"llama3-405b", llama3_405b()},
      {"tele-flm-1t", tele_flm({140, 20480, 160, 160, 98304, 80000, 4096})},
  };
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (auto& p : presets()) names.push_back(std::move(p.name));
  return names;
}

ModelConfig preset_config(std::string_view name) {
  for (auto& p : presets())
    if (p.name == name) return std::move(p.config);
  const auto names = preset_names();
  InputError error(fmt::format("there is no preset '{}'", name));
  if (const auto nearest = nearest_name(name, names); !nearest.empty())
    error.hint(fmt::format("did you mean '{}'?", nearest));
  error.hint(fmt::format("Presets: {}", fmt::join(names, ", ")));
  throw error;
}

}  // namespace autarky
