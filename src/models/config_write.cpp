// config.json of every family, written.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/config.h"
#include "models/rope_json.h"

namespace autarky {
namespace {

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

Json telechat_json(const ModelConfig& c) {
  const bool stretched = c.rope.kind == RopeKind::telechat;
  return {{"architectures", {"TeleChat2ForCausalLM"}},
          {"n_layer", c.layers},
          {"hidden_size", c.hidden},
          {"n_head", c.heads},
          {"num_key_value_heads", c.kv_heads},
          {"ffn_hidden_size", c.ffn},
          {"layer_norm_epsilon", c.norm_eps},
          {"seq_length", c.max_positions},
          {"training_seqlen", c.max_positions},
          {"base_seqlen", stretched ? c.rope.original_max_positions : c.max_positions},
          {"hidden_act", "silu"},
          {"embed_layernorm", false},
          {"apply_residual_connection_post_layernorm", false},
          {"hidden_dropout", 0.0},
          {"attention_dropout", 0.0}};
}

void write_qwen_window(const ModelConfig& c, Json& json) {
  json["use_sliding_window"] = c.window > 0;
  if (c.window == 0) return;
  json["sliding_window"] = c.window;
  json["max_window_layers"] = 0;
}

Json llama_like_json(const ModelConfig& c) {
  Json json = {{"hidden_size", c.hidden},
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
  switch (c.family) {
    case Family::mistral:
      json["architectures"] = {"MistralForCausalLM"};
      json["sliding_window"] = c.window > 0 ? Json(c.window) : Json();
      break;
    case Family::qwen2:
      json["architectures"] = {"Qwen2ForCausalLM"};
      write_qwen_window(c, json);
      break;
    case Family::qwen3:
      json["architectures"] = {"Qwen3ForCausalLM"};
      json["attention_bias"] = c.qkv_bias;
      write_qwen_window(c, json);
      break;
    default:
      json["architectures"] = {"LlamaForCausalLM"};
      json["attention_bias"] = c.qkv_bias;
      json["mlp_bias"] = c.ffn_input_bias;
  }
  return json;
}

Json family_json(const ModelConfig& c) {
  if (c.family == Family::gpt2) return gpt2_json(c);
  return c.family == Family::telechat ? telechat_json(c) : llama_like_json(c);
}

// What the family's config.json cannot say of this model, or "".
std::string_view without_keys(const ModelConfig& c) {
  const bool none_but_qkv = !c.attn_output_bias && !c.ffn_input_bias && !c.ffn_output_bias;
  const bool pairs = c.qkv_bias == c.attn_output_bias && c.ffn_input_bias == c.ffn_output_bias;
  bool biases = pairs, windows = false, rope = c.rope.kind != RopeKind::telechat;
  switch (c.family) {
    case Family::gpt2:
      biases = pairs && c.qkv_bias && c.ffn_input_bias;
      break;
    case Family::llama:
      break;
    case Family::mistral:
      biases = none_but_qkv && !c.qkv_bias;
      windows = true;
      break;
    case Family::qwen2:
      biases = none_but_qkv && c.qkv_bias;
      windows = true;
      break;
    case Family::qwen3:
      biases = pairs && !c.ffn_input_bias;
      windows = true;
      break;
    case Family::telechat:
      biases = !c.qkv_bias && c.attn_output_bias && !c.ffn_input_bias && c.ffn_output_bias;
      rope = c.rope.theta == 10000 && (!rope || c.rope.kind == RopeKind::none);
      break;
  }
  if (!biases) return "biases";
  if (c.window > 0 && !windows) return "sliding window";
  if (c.qk_norm != (c.family == Family::qwen3)) return "norms of queries and keys";
  return rope ? "" : "rotary embedding";
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

Json to_config_json(const ModelConfig& c, DType dtype) {
  if (const auto what = without_keys(c); !what.empty())
    throw InputError(fmt::format("config.json of {} has no keys for this model's {}",
                                 family_name(c.family), what))
        .hint("the model can be planned and trained, not saved in this format");
  Json json = family_json(c);
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
