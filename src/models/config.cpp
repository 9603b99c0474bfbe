#include "models/config.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/config_reader.h"
#include "models/rope_json.h"

namespace autarky {
namespace {

constexpr std::int64_t kMostLayers = 100'000, kMostWidth = 1 << 26, kMostHeads = 1 << 16,
                       kMostHeadDim = 1 << 16, kMostVocab = 1 << 28, kMostPositions = 2'147'483'647;
constexpr double kMostParameters = 1e15;
// transformers' for Mistral and Qwen.
constexpr std::int64_t kDefaultWindow = 4096, kDefaultWindowLayers = 28;

void check_range(std::string_view where, std::string_view key, std::int64_t value,
                 std::int64_t most) {
  if (value >= 1 && value <= most) return;
  throw InputError(fmt::format("key '{}' has a value that cannot be used", key))
      .at(where)
      .found(std::to_string(value))
      .wanted(fmt::format("a whole number from 1 to {}", most));
}

void check_heads(const ModelConfig& c, std::string_view where) {
  if (c.heads % c.kv_heads != 0)
    throw InputError("the query heads cannot be shared out over the key/value heads")
        .at(where)
        .found(fmt::format("{} heads, {} key/value heads", c.heads, c.kv_heads))
        .wanted("a multiple");
  const bool ntk = c.position == PositionKind::rope &&
                   (c.rope.kind == RopeKind::ntk || c.rope.kind == RopeKind::telechat);
  if (c.position == PositionKind::rope && (c.head_dim % 2 != 0 || (ntk && c.head_dim < 4)))
    throw InputError("rotary position embedding turns pairs of a head's elements")
        .at(where)
        .found(fmt::format("head_dim {}", c.head_dim))
        .wanted(ntk ? "an even number from 4" : "an even number");
}

void check_size(const ModelConfig& c, std::string_view where) {
  const double e = double(c.hidden), heads = double(c.heads), kv = double(c.kv_heads);
  const double layer = e * double(c.head_dim) * 2 * (heads + kv) + 3 * e * double(c.ffn);
  const double positions = c.position == PositionKind::learned ? double(c.max_positions) : 0;
  const double total = double(c.layers) * layer + e * (2 * double(c.vocab) + positions);
  if (total > kMostParameters)
    throw InputError("the model is larger than any machine")
        .at(where)
        .found(fmt::format("about {:.3g} parameters", total))
        .wanted(fmt::format("at most {:.0e}", kMostParameters));
}

// hidden / heads, where the file does not give the head size.
std::int64_t derived_head_dim(const ModelConfig& c, std::string_view where) {
  if (c.hidden % c.heads != 0)
    throw InputError("the hidden size cannot be shared out over the heads")
        .at(where)
        .found(fmt::format("hidden size {}, {} heads", c.hidden, c.heads))
        .wanted("a multiple");
  return c.hidden / c.heads;
}

void read_dropout(const ConfigReader& reader, std::initializer_list<const char*> keys,
                  ModelConfig& c) {
  for (const char* key : keys)
    if (const double rate = reader.amount(key, 0); rate != 0)
      c.notes.push_back(
          fmt::format("{} is {} in the file; training runs without dropout", key, rate));
}

// What is read alike in all families.
void read_common(const ConfigReader& reader, ModelConfig& c) {
  if (reader.has("quantization_config"))
    throw reader.wrong("quantization_config", "none").hint("use the weights before quantisation");
  c.initializer_range = reader.amount("initializer_range", c.initializer_range);
  if (const auto bos = reader.ids("bos_token_id"); !bos.empty()) c.bos_id = bos.front();
  c.eos_ids = reader.ids("eos_token_id");
}

ModelConfig read_gpt2(const ConfigReader& reader, std::string_view where) {
  ModelConfig c;
  c.family = Family::gpt2;
  c.layers = reader.count("n_layer", kMostLayers);
  c.hidden = reader.count("n_embd", kMostWidth);
  c.heads = c.kv_heads = reader.count("n_head", kMostHeads);
  c.head_dim = derived_head_dim(c, where);
  c.ffn = reader.count("n_inner", kMostWidth, 4 * c.hidden);
  c.vocab = reader.count("vocab_size", kMostVocab);
  c.max_positions = reader.count("n_positions", kMostPositions);
  c.norm = NormKind::layer;
  c.norm_eps = reader.positive("layer_norm_epsilon", 1e-5);
  c.activation = Activation::gelu_tanh;
  c.position = PositionKind::learned;
  c.qkv_bias = c.attn_output_bias = c.ffn_input_bias = c.ffn_output_bias = true;
  c.tied_embeddings = reader.flag("tie_word_embeddings", true);
  reader.require_text("activation_function", {"gelu_new", "gelu_pytorch_tanh"});
  const char* why = "this variant of GPT-2's attention is not supported";
  reader.require_flag("scale_attn_weights", true, why);
  reader.require_flag("scale_attn_by_inverse_layer_idx", false, why);
  reader.require_flag("add_cross_attention", false, why);
  read_dropout(reader, {"attn_pdrop", "embd_pdrop", "resid_pdrop"}, c);
  return c;
}

// What transformers takes keys that are not there to mean; 0: derived from others.
struct Defaults {
  std::int64_t positions, kv_heads = 0, head_dim = 0;
};

// All but GPT-2 and TeleChat: they differ in biases, windows, norms of heads and defaults only.
ModelConfig read_llama_like(const ConfigReader& reader, std::string_view where, Family family,
                            const Defaults& defaults) {
  ModelConfig c;
  c.family = family;
  c.layers = reader.count("num_hidden_layers", kMostLayers);
  c.hidden = reader.count("hidden_size", kMostWidth);
  c.heads = reader.count("num_attention_heads", kMostHeads);
  const bool no_kv_heads = defaults.kv_heads == 0 || reader.is_null("num_key_value_heads");
  c.kv_heads =
      reader.count("num_key_value_heads", kMostHeads, no_kv_heads ? c.heads : defaults.kv_heads);
  if (reader.has("head_dim")) c.head_dim = reader.count("head_dim", kMostHeadDim);
  else if (defaults.head_dim > 0 && !reader.is_null("head_dim")) c.head_dim = defaults.head_dim;
  else c.head_dim = derived_head_dim(c, where);
  c.ffn = reader.count("intermediate_size", kMostWidth);
  c.vocab = reader.count("vocab_size", kMostVocab);
  c.max_positions = reader.count("max_position_embeddings", kMostPositions, defaults.positions);
  c.norm_eps = reader.positive("rms_norm_eps", 1e-6);
  c.rope = read_rope(reader, c.max_positions);
  c.tied_embeddings = reader.flag("tie_word_embeddings", false);
  reader.require_text("hidden_act", {"silu", "swish"});
  read_dropout(reader, {"attention_dropout"}, c);
  return c;
}

ModelConfig read_llama(const ConfigReader& reader, std::string_view where) {
  ModelConfig c = read_llama_like(reader, where, Family::llama, {2048});
  c.qkv_bias = c.attn_output_bias = reader.flag("attention_bias", false);
  c.ffn_input_bias = c.ffn_output_bias = reader.flag("mlp_bias", false);
  return c;
}

// The window is there unless it is null.
ModelConfig read_mistral(const ConfigReader& reader, std::string_view where) {
  ModelConfig c = read_llama_like(reader, where, Family::mistral, {131072, 8});
  if (!reader.is_null("sliding_window"))
    c.window = reader.count("sliding_window", kMostPositions, kDefaultWindow);
  return c;
}

// In Qwen's files the layers from max_window_layers on have the window, or those that the newer
// layer_types names. All or none are supported.
std::int64_t read_qwen_window(const ConfigReader& reader, const ModelConfig& c) {
  if (!reader.flag("use_sliding_window", false) || reader.is_null("sliding_window")) return 0;
  const std::int64_t window = reader.count("sliding_window", kMostPositions, kDefaultWindow);
  std::int64_t whole = reader.count("max_window_layers", kMostLayers, kDefaultWindowLayers, 0);
  std::int64_t sliding = std::max<std::int64_t>(c.layers - whole, 0);
  const auto types = reader.texts("layer_types");
  if (!types.empty()) {
    whole = std::count(types.begin(), types.end(), "full_attention");
    sliding = std::count(types.begin(), types.end(), "sliding_attention");
  }
  if (sliding == 0 && whole >= c.layers) return 0;
  if (sliding == c.layers && whole == 0) return window;
  throw reader
      .wrong(types.empty() ? "max_window_layers" : "layer_types",
             fmt::format("a sliding window in all {} layers, or in none", c.layers))
      .hint("models in which only some layers have a sliding window are not supported");
}

ModelConfig read_qwen2(const ConfigReader& reader, std::string_view where) {
  ModelConfig c = read_llama_like(reader, where, Family::qwen2, {32768, 32});
  c.qkv_bias = true;
  c.window = read_qwen_window(reader, c);
  return c;
}

ModelConfig read_qwen3(const ConfigReader& reader, std::string_view where) {
  ModelConfig c = read_llama_like(reader, where, Family::qwen3, {32768, 32, 128});
  c.qk_norm = true;
  c.qkv_bias = c.attn_output_bias = reader.flag("attention_bias", false);
  c.window = read_qwen_window(reader, c);
  return c;
}

// TeleChat's files give no theta; its code turns by lengths (RopeKind::telechat), and attention
// beyond training_seqlen is scaled: more positions than that are not supported.
void read_telechat_positions(const ConfigReader& reader, ModelConfig& c) {
  const std::int64_t fallback = reader.count("seq_length", kMostPositions, 8192);
  c.max_positions = reader.count("training_seqlen", kMostPositions, fallback);
  const std::int64_t base = reader.count("base_seqlen", kMostPositions, c.max_positions);
  if (base >= c.max_positions) return;
  c.rope.kind = RopeKind::telechat;
  c.rope.original_max_positions = base;
  c.rope.factor = double(c.max_positions) / double(base);
}

ModelConfig read_telechat(const ConfigReader& reader, std::string_view where) {
  ModelConfig c;
  c.family = Family::telechat;
  c.layers = reader.count("n_layer", kMostLayers);
  c.hidden = reader.count(reader.has("n_embed") ? "n_embed" : "hidden_size", kMostWidth);
  c.heads = reader.count("n_head", kMostHeads);
  c.kv_heads = reader.count("num_key_value_heads", kMostHeads, c.heads);
  c.head_dim = derived_head_dim(c, where);
  c.ffn = reader.count("ffn_hidden_size", kMostWidth);
  c.vocab = reader.count("vocab_size", kMostVocab);
  c.norm_eps = reader.positive("layer_norm_epsilon", 1e-5);
  read_telechat_positions(reader, c);
  c.attn_output_bias = c.ffn_output_bias = true;
  c.tied_embeddings = reader.flag("tie_word_embeddings", true);
  const char* why = "this variant of TeleChat is not supported";
  reader.require_flag("embed_layernorm", false, why);
  reader.require_flag("apply_residual_connection_post_layernorm", false, why);
  read_dropout(reader, {"hidden_dropout", "attention_dropout"}, c);
  return c;
}

}  // namespace

void validate(const ModelConfig& c, std::string_view where) {
  check_range(where, "layers", c.layers, kMostLayers);
  check_range(where, "hidden", c.hidden, kMostWidth);
  check_range(where, "heads", c.heads, kMostHeads);
  check_range(where, "kv_heads", c.kv_heads, kMostHeads);
  check_range(where, "head_dim", c.head_dim, kMostHeadDim);
  check_range(where, "ffn", c.ffn, kMostWidth);
  check_range(where, "vocab", c.vocab, kMostVocab);
  check_range(where, "max_positions", c.max_positions, kMostPositions);
  check_heads(c, where);
  check_size(c, where);
}

ModelConfig parse_config(const Json& json, std::string_view where) {
  const ConfigReader reader(json, std::string(where));
  const std::string type = reader.text("model_type", "");
  ModelConfig c;
  if (type == "gpt2") c = read_gpt2(reader, where);
  else if (type == "llama") c = read_llama(reader, where);
  else if (type == "mistral") c = read_mistral(reader, where);
  else if (type == "qwen2") c = read_qwen2(reader, where);
  else if (type == "qwen3") c = read_qwen3(reader, where);
  else if (type == "telechat") c = read_telechat(reader, where);
  else throw reader.wrong("model_type", fmt::format("one of {}", fmt::join(kFamilyNames, ", ")));
  read_common(reader, c);
  validate(c, where);
  return c;
}

}  // namespace autarky
