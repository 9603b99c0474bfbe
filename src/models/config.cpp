#include "models/config.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/config_reader.h"
#include "models/rope_json.h"

namespace autarky {
namespace {

constexpr std::int64_t kMostLayers = 100'000, kMostWidth = 1 << 26, kMostHeads = 1 << 16,
                       kMostHeadDim = 1 << 16, kMostVocab = 1 << 28, kMostPositions = 2'147'483'647;
constexpr double kMostParameters = 1e15;

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
  const bool ntk = c.position == PositionKind::rope && c.rope.kind == RopeKind::ntk;
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

// Llama and Qwen2 differ in their biases and defaults only.
ModelConfig read_llama_like(const ConfigReader& reader, std::string_view where,
                            std::int64_t default_positions) {
  ModelConfig c;
  c.layers = reader.count("num_hidden_layers", kMostLayers);
  c.hidden = reader.count("hidden_size", kMostWidth);
  c.heads = reader.count("num_attention_heads", kMostHeads);
  c.kv_heads = reader.count("num_key_value_heads", kMostHeads, c.heads);
  c.head_dim =
      reader.has("head_dim") ? reader.count("head_dim", kMostHeadDim) : derived_head_dim(c, where);
  c.ffn = reader.count("intermediate_size", kMostWidth);
  c.vocab = reader.count("vocab_size", kMostVocab);
  c.max_positions = reader.count("max_position_embeddings", kMostPositions, default_positions);
  c.norm_eps = reader.positive("rms_norm_eps", 1e-6);
  c.rope = read_rope(reader, c.max_positions);
  c.tied_embeddings = reader.flag("tie_word_embeddings", false);
  reader.require_text("hidden_act", {"silu", "swish"});
  read_dropout(reader, {"attention_dropout"}, c);
  return c;
}

ModelConfig read_llama(const ConfigReader& reader, std::string_view where) {
  ModelConfig c = read_llama_like(reader, where, 2048);
  c.qkv_bias = c.attn_output_bias = reader.flag("attention_bias", false);
  c.ffn_input_bias = c.ffn_output_bias = reader.flag("mlp_bias", false);
  return c;
}

ModelConfig read_qwen2(const ConfigReader& reader, std::string_view where) {
  ModelConfig c = read_llama_like(reader, where, 32768);
  c.family = Family::qwen2;
  c.qkv_bias = true;
  reader.require_flag("use_sliding_window", false, "sliding-window attention is not supported");
  return c;
}

Json gpt2_json(const ModelConfig& c) {
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"n_layer", c.layers},
          {"n_embd", c.hidden},
          {"n_head", c.heads},
          {"n_inner", c.ffn},
          {"n_positions", c.max_positions},
          {"layer_norm_epsilon", c.norm_eps},
          {"activation_function", "gelu_new"},
          {"attn_pdrop", 0.0},
          {"embd_pdrop", 0.0},
          {"resid_pdrop", 0.0}};
}

Json llama_like_json(const ModelConfig& c) {
  Json json = {
      {"architectures", {c.family == Family::qwen2 ? "Qwen2ForCausalLM" : "LlamaForCausalLM"}},
      {"hidden_size", c.hidden},
      {"intermediate_size", c.ffn},
      {"num_hidden_layers", c.layers},
      {"num_attention_heads", c.heads},
      {"num_key_value_heads", c.kv_heads},
      {"head_dim", c.head_dim},
      {"max_position_embeddings", c.max_positions},
      {"rms_norm_eps", c.norm_eps},
      {"hidden_act", "silu"},
      {"attention_dropout", 0.0}};
  write_rope(c.rope, json);
  if (c.family == Family::qwen2) {
    json["use_sliding_window"] = false;
  } else {
    json["attention_bias"] = c.qkv_bias;
    json["mlp_bias"] = c.ffn_input_bias;
  }
  return json;
}

// Whether the family's config.json can say these biases.
bool biases_have_keys(const ModelConfig& c) {
  const bool none_but_qkv = !c.attn_output_bias && !c.ffn_input_bias && !c.ffn_output_bias;
  if (c.family == Family::qwen2) return c.qkv_bias && none_but_qkv;
  const bool pairs = c.qkv_bias == c.attn_output_bias && c.ffn_input_bias == c.ffn_output_bias;
  return pairs && (c.family == Family::llama || (c.qkv_bias && c.ffn_input_bias));
}

std::string_view torch_name(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "float64";
    case DType::bf16:
      return "bfloat16";
    case DType::f16:
      return "float16";
    default:
      return "float32";
  }
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
  else if (type == "qwen2") c = read_qwen2(reader, where);
  else throw reader.wrong("model_type", fmt::format("one of {}", fmt::join(kFamilyNames, ", ")));
  read_common(reader, c);
  validate(c, where);
  return c;
}

Json to_config_json(const ModelConfig& c, DType dtype) {
  if (!biases_have_keys(c))
    throw InputError(
        fmt::format("config.json of {} has no keys for this model's biases", family_name(c.family)))
        .hint("the model can be planned and trained, not saved in this format");
  Json json = c.family == Family::gpt2 ? gpt2_json(c) : llama_like_json(c);
  json["model_type"] = family_name(c.family);
  json["vocab_size"] = c.vocab;
  json["tie_word_embeddings"] = c.tied_embeddings;
  json["initializer_range"] = c.initializer_range;
  json["bos_token_id"] = c.bos_id < 0 ? Json() : Json(c.bos_id);
  json["eos_token_id"] = c.eos_ids.empty()       ? Json()
                         : c.eos_ids.size() == 1 ? Json(c.eos_ids.front())
                                                 : Json(c.eos_ids);
  json["torch_dtype"] = torch_name(dtype);
  return json;
}

}  // namespace autarky
