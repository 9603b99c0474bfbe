#include "models/parameters.h"

#include <cmath>

namespace autarky {
namespace {

// Collects parameters; dims are given by their letters.
class Builder {
 public:
  explicit Builder(const ModelConfig& config) : c_(config) {}

  void matrix(std::string name, std::string_view letters) {
    add(std::move(name), letters, {InitKind::normal, c_.initializer_range}, true);
  }
  // GPT-2's projections onto the residual, of which there are two in each layer.
  void residual_matrix(std::string name, std::string_view letters) {
    const double std = c_.initializer_range / std::sqrt(2.0 * double(c_.layers));
    add(std::move(name), letters, {InitKind::normal, std}, true);
  }
  void ones(std::string name, std::string_view letters) {
    add(std::move(name), letters, {InitKind::ones, 0}, false);
  }
  void zeros(std::string name, std::string_view letters) {
    add(std::move(name), letters, {InitKind::zeros, 0}, false);
  }
  void bias(bool there, std::string name, std::string_view letters) {
    if (there) zeros(std::move(name), letters);
  }
  void enter(ParameterBlock block) { block_ = block; }
  std::vector<ParameterSpec> take() { return std::move(list_); }

 private:
  void add(std::string name, std::string_view letters, Init init, bool decay) {
    std::vector<Dim> dims;
    for (const char letter : letters) dims.push_back({letter, extent(letter)});
    list_.push_back({std::move(name), std::move(dims), block_, init, decay});
  }
  std::int64_t extent(char letter) const {
    switch (letter) {
      case 'v':
        return c_.vocab;
      case 'e':
        return c_.hidden;
      case 'g':
        return c_.kv_heads;
      case 'r':
        return c_.heads / c_.kv_heads;
      case 'd':
        return c_.head_dim;
      case 'f':
        return c_.ffn;
      default:
        return c_.max_positions;  // p
    }
  }

  const ModelConfig& c_;
  ParameterBlock block_ = ParameterBlock::embed;
  std::vector<ParameterSpec> list_;
};

void gpt2_layer(Builder& b) {
  const std::string h = "transformer.h.{}.";
  b.ones(h + "ln_1.weight", "e");
  b.zeros(h + "ln_1.bias", "e");
  b.matrix(h + "attn.q.weight", "egrd");
  b.matrix(h + "attn.k.weight", "egd");
  b.matrix(h + "attn.v.weight", "egd");
  b.zeros(h + "attn.q.bias", "grd");
  b.zeros(h + "attn.k.bias", "gd");
  b.zeros(h + "attn.v.bias", "gd");
  b.residual_matrix(h + "attn.c_proj.weight", "grde");
  b.zeros(h + "attn.c_proj.bias", "e");
  b.ones(h + "ln_2.weight", "e");
  b.zeros(h + "ln_2.bias", "e");
  b.matrix(h + "mlp.c_fc.weight", "ef");
  b.zeros(h + "mlp.c_fc.bias", "f");
  b.residual_matrix(h + "mlp.c_proj.weight", "fe");
  b.zeros(h + "mlp.c_proj.bias", "e");
}

void gpt2_parameters(const ModelConfig& c, Builder& b) {
  b.matrix("transformer.wte.weight", "ve");
  b.matrix("transformer.wpe.weight", "pe");
  b.enter(ParameterBlock::layer);
  gpt2_layer(b);
  b.enter(ParameterBlock::head);
  b.ones("transformer.ln_f.weight", "e");
  b.zeros("transformer.ln_f.bias", "e");
  if (!c.tied_embeddings) b.matrix("lm_head.weight", "ve");
}

void llama_layer(const ModelConfig& c, Builder& b) {
  const std::string l = "model.layers.{}.";
  b.ones(l + "input_layernorm.weight", "e");
  b.matrix(l + "self_attn.q_proj.weight", "grde");
  b.bias(c.qkv_bias, l + "self_attn.q_proj.bias", "grd");
  b.matrix(l + "self_attn.k_proj.weight", "gde");
  b.bias(c.qkv_bias, l + "self_attn.k_proj.bias", "gd");
  b.matrix(l + "self_attn.v_proj.weight", "gde");
  b.bias(c.qkv_bias, l + "self_attn.v_proj.bias", "gd");
  if (c.qk_norm) {
    b.ones(l + "self_attn.q_norm.weight", "d");
    b.ones(l + "self_attn.k_norm.weight", "d");
  }
  b.matrix(l + "self_attn.o_proj.weight", "egrd");
  b.bias(c.attn_output_bias, l + "self_attn.o_proj.bias", "e");
  b.ones(l + "post_attention_layernorm.weight", "e");
  b.matrix(l + "mlp.gate_proj.weight", "fe");
  b.bias(c.ffn_input_bias, l + "mlp.gate_proj.bias", "f");
  b.matrix(l + "mlp.up_proj.weight", "fe");
  b.bias(c.ffn_input_bias, l + "mlp.up_proj.bias", "f");
  b.matrix(l + "mlp.down_proj.weight", "ef");
  b.bias(c.ffn_output_bias, l + "mlp.down_proj.bias", "e");
}

void llama_parameters(const ModelConfig& c, Builder& b) {
  b.matrix("model.embed_tokens.weight", "ve");
  b.enter(ParameterBlock::layer);
  llama_layer(c, b);
  b.enter(ParameterBlock::head);
  b.ones("model.norm.weight", "e");
  if (!c.tied_embeddings) b.matrix("lm_head.weight", "ve");
}

void telechat_parameters(const ModelConfig& c, Builder& b) {
  b.matrix("transformer.word_embeddings.weight", "ve");
  b.enter(ParameterBlock::layer);
  const std::string h = "transformer.h.{}.";
  b.ones(h + "input_layernorm.weight", "e");
  b.matrix(h + "self_attention.query.weight", "grde");
  b.matrix(h + "self_attention.key.weight", "gde");
  b.matrix(h + "self_attention.value.weight", "gde");
  b.matrix(h + "self_attention.dense.weight", "egrd");
  b.bias(c.attn_output_bias, h + "self_attention.dense.bias", "e");
  b.ones(h + "post_attention_layernorm.weight", "e");
  b.matrix(h + "mlp.gate_proj.weight", "fe");
  b.matrix(h + "mlp.up_proj.weight", "fe");
  b.matrix(h + "mlp.down_proj.weight", "ef");
  b.bias(c.ffn_output_bias, h + "mlp.down_proj.bias", "e");
  b.enter(ParameterBlock::head);
  b.ones("transformer.ln_f.weight", "e");
  if (!c.tied_embeddings) b.matrix("lm_head.weight", "ve");
}

std::int64_t product(const std::vector<Dim>& dims) {
  std::int64_t n = 1;
  for (const Dim& dim : dims) n *= dim.extent;
  return n;
}

// The checkpoint knows no composite dims: g r d, and g d, are one there.
std::vector<std::int64_t> flat_shape(const std::vector<Dim>& dims) {
  std::vector<std::int64_t> shape;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const bool head = dims[i].name == 'r' || dims[i].name == 'd';
    if (head && i > 0) shape.back() *= dims[i].extent;
    else shape.push_back(dims[i].extent);
  }
  return shape;
}

struct Fusion {
  std::string_view tensor;
  std::vector<std::string_view> parts;
};
// GPT-2's q, k and v are one tensor, side by side along its last dim. TeleChat's k and v are one,
// head by head: rows of the first key head, of the first value head, of the second key head...
Fusion fusion_of(Family family) {
  if (family == Family::gpt2) return {".attn.c_attn.", {".attn.q.", ".attn.k.", ".attn.v."}};
  if (family == Family::telechat)
    return {".self_attention.key_value.", {".self_attention.key.", ".self_attention.value."}};
  return {};
}

// The tensor that a parameter lies in.
std::string tensor_name(const Fusion& fusion, const std::string& name) {
  for (const auto part : fusion.parts)
    if (const auto at = name.find(part); at != name.npos)
      return name.substr(0, at) + std::string(fusion.tensor) + name.substr(at + part.size());
  return name;
}

}  // namespace

std::int64_t ParameterSpec::count() const { return product(dims); }

std::vector<ParameterSpec> parameters(const ModelConfig& config) {
  Builder builder(config);
  if (config.family == Family::gpt2) gpt2_parameters(config, builder);
  else if (config.family == Family::telechat) telechat_parameters(config, builder);
  else llama_parameters(config, builder);
  return builder.take();
}

std::int64_t parameter_count(const ModelConfig& config) {
  std::int64_t total = 0;
  for (const auto& p : parameters(config))
    total += p.count() * (p.block == ParameterBlock::layer ? config.layers : 1);
  return total;
}

std::string layer_name(std::string_view name, std::int64_t layer) {
  const auto at = name.find("{}");
  if (at == std::string_view::npos) return std::string(name);
  return std::string(name.substr(0, at)) + std::to_string(layer) + std::string(name.substr(at + 2));
}

std::vector<TensorMap> tensor_maps(const ModelConfig& config) {
  std::vector<TensorMap> maps;
  const Fusion fusion = fusion_of(config.family);
  const bool by_heads = config.family == Family::telechat;
  for (const auto& p : parameters(config)) {
    const std::string name = tensor_name(fusion, p.name);
    const auto shape = flat_shape(p.dims);
    const bool fused = name != p.name;
    auto map = maps.begin();
    while (map != maps.end() && map->hf_name != name) ++map;
    if (map == maps.end()) {
      const int dim = fused && !by_heads ? int(shape.size()) - 1 : 0;
      const std::int64_t turns = fused && by_heads ? config.kv_heads : 1;
      maps.push_back({name, shape, {{p.name, shape[std::size_t(dim)]}}, dim, turns, p.block});
      continue;
    }
    const std::int64_t extent = shape[std::size_t(map->concat_dim)];
    map->hf_shape[std::size_t(map->concat_dim)] += extent;
    map->pieces.push_back({p.name, extent});
  }
  return maps;
}

}  // namespace autarky
