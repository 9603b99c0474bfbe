#include "models/decoder.h"

#include <fmt/core.h>

#include <cmath>

#include "ops/catalog.h"

namespace autarky {
namespace {

// How a family calls the parameters of a layer and of the head.
struct Names {
  std::string attn_norm, q, k, v, o, ffn_norm, gate, up, down, tokens, positions, final_norm;
  std::string q_norm = {}, k_norm = {};  // with qk_norm
};
const Names& names_of(Family family) {
  static const Names gpt2{
      "ln_1", "attn.q",   "attn.k",     "attn.v",          "attn.c_proj",     "ln_2",
      "",     "mlp.c_fc", "mlp.c_proj", "transformer.wte", "transformer.wpe", "transformer.ln_f"};
  static const Names llama{"input_layernorm",
                           "self_attn.q_proj",
                           "self_attn.k_proj",
                           "self_attn.v_proj",
                           "self_attn.o_proj",
                           "post_attention_layernorm",
                           "mlp.gate_proj",
                           "mlp.up_proj",
                           "mlp.down_proj",
                           "model.embed_tokens",
                           "",
                           "model.norm",
                           "self_attn.q_norm",
                           "self_attn.k_norm"};
  static const Names telechat{"input_layernorm",
                              "self_attention.query",
                              "self_attention.key",
                              "self_attention.value",
                              "self_attention.dense",
                              "post_attention_layernorm",
                              "mlp.gate_proj",
                              "mlp.up_proj",
                              "mlp.down_proj",
                              "transformer.word_embeddings",
                              "",
                              "transformer.ln_f"};
  if (family == Family::telechat) return telechat;
  return family == Family::gpt2 ? gpt2 : llama;
}

// Writes the graph of one kind of block.
class BlockWriter {
 public:
  BlockWriter(const ModelConfig& c, const DecoderShape& shape, ParameterBlock block,
              std::string name)
      : c_(c), shape_(shape), wide_(accumulate_dtype(shape.dtype)) {
    graph_.name = std::move(name);
    for (auto& spec : parameters(c))
      if (spec.block == block) specs_.push_back(std::move(spec));
  }

  Graph take() { return std::move(graph_); }
  Graph& graph() { return graph_; }

  Value data(const std::string& port) {
    return input(port, PortKind::data, Type(DType::i32, {{'b', shape_.batch}, {'s', shape_.seq}}));
  }
  // x [b s e]
  Value hidden() {
    return input("x", PortKind::activation,
                 Type(shape_.dtype, {{'b', shape_.batch}, {'s', shape_.seq}, {'e', c_.hidden}}));
  }
  Value frequencies() {
    return input("rope_frequencies", PortKind::state, Type(wide_, {{'k', c_.head_dim / 2}}));
  }

  Value cache_data(const std::string& port, std::int64_t capacity) {
    return input(port, PortKind::data, Type(DType::i32, {{'b', shape_.batch}, {'t', capacity}}));
  }
  Value index(const std::string& port) {
    return input(port, PortKind::data, Type(DType::i32, {{'n', 1}}));
  }
  // The cache after `rows` [b s g d] were written.
  Value cached(const std::string& port, Value rows, std::int64_t capacity) {
    Type type(shape_.dtype,
              {{'b', shape_.batch}, {'t', capacity}, {'g', c_.kv_heads}, {'d', c_.head_dim}});
    const Value cache = input(port, PortKind::state, type);
    const Value after = apply<CacheAppend>(graph_, {}, {cache, rows, index("cache_first")});
    graph_.add_output(port, PortKind::state, after);
    return after;
  }

  bool has(const std::string& name) const { return find(name) != nullptr; }
  Value param(const std::string& name) {
    const ParameterSpec& spec = *find(name);
    return input(name, PortKind::param, Type(param_dtype(spec, shape_.dtype), spec.dims));
  }

  // x [b s <in>] with weight [<in>, <out>] in any order -> [b s <out>], and the bias if there is
  // one
  Value linear(Value x, const std::string& name,
               std::source_location where = std::source_location::current()) {
    const Value w = param(name + ".weight");
    const Type& xt = graph_.type(x);
    std::string out = "b s";
    for (const Dim& d : graph_.type(w).dims)
      if (xt.find(d.name) < 0) out += std::string(" ") + d.name;
    const std::string spec = dim_names(xt) + ", " + dim_names(graph_.type(w)) + " -> " + out;
    const Value y = apply<Contract>(graph_, {spec, shape_.dtype}, {x, w}, where);
    return has(name + ".bias") ? apply<AddBias>(graph_, {}, {y, param(name + ".bias")}, where) : y;
  }

  Value norm(Value x, const std::string& name,
             std::source_location where = std::source_location::current()) {
    const Value w = param(name + ".weight");
    if (c_.norm == NormKind::rms) return apply<RmsNorm>(graph_, {c_.norm_eps}, {x, w}, where);
    return apply<LayerNorm>(graph_, {c_.norm_eps}, {x, w, param(name + ".bias")}, where);
  }

 private:
  Value input(const std::string& port, PortKind kind, Type type) {
    if (const Port* p = graph_.find_input(port)) return p->value;
    return graph_.add_input(port, kind, std::move(type));
  }
  const ParameterSpec* find(const std::string& port) const {
    for (const auto& spec : specs_)
      if (port_name(spec) == port) return &spec;
    return nullptr;
  }

  const ModelConfig& c_;
  const DecoderShape& shape_;
  DType wide_;
  std::vector<ParameterSpec> specs_;
  Graph graph_;
};

Graph embed_graph(const ModelConfig& c, const DecoderShape& shape) {
  BlockWriter w(c, shape, ParameterBlock::embed, "embed");
  const Names& n = names_of(c.family);
  Value y = apply<Embedding>(w.graph(), {}, {w.data("tokens"), w.param(n.tokens + ".weight")});
  if (c.position == PositionKind::learned) {
    const Value p =
        apply<Embedding>(w.graph(), {}, {w.data("positions"), w.param(n.positions + ".weight")});
    y = apply<Add>(w.graph(), {}, {y, p});
  }
  w.graph().add_output("y", PortKind::activation, y);
  return w.take();
}

// x [b s e] -> q k v [b s g (r) d] -> attention -> [b s e]. With a cache of `capacity` tokens the
// keys and values are its rows, after the new ones were written.
Value attention_part(BlockWriter& w, const ModelConfig& c, Value x, std::int64_t capacity) {
  const Names& n = names_of(c.family);
  Graph& g = w.graph();
  Value q = w.linear(x, n.q), k = w.linear(x, n.k), v = w.linear(x, n.v);
  if (c.qk_norm) q = w.norm(q, n.q_norm), k = w.norm(k, n.k_norm);
  const Value positions = w.data("positions"), segments = w.data("segments");
  if (c.position == PositionKind::rope) {
    const Rope::Attrs rope{rope_attention_factor(c.rope)};
    q = apply<Rope>(g, rope, {q, positions, w.frequencies()});
    k = apply<Rope>(g, rope, {k, positions, w.frequencies()});
  }
  Value k_positions = positions, k_segments = segments;
  if (capacity > 0) {
    k = w.cached("cache.k", k, capacity);
    v = w.cached("cache.v", v, capacity);
    k_positions = w.cache_data("cache_positions", capacity);
    k_segments = w.cache_data("cache_segments", capacity);
  }
  const Attention::Attrs attrs{1 / std::sqrt(double(c.head_dim)), c.window};
  const Value o =
      apply_all<Attention>(g, attrs, {q, k, v, positions, k_positions, segments, k_segments})[0];
  return w.linear(o, n.o);
}

// x [b s e] -> [b s f] -> [b s e]
Value ffn_part(BlockWriter& w, const ModelConfig& c, Value x) {
  const Names& n = names_of(c.family);
  if (c.activation == Activation::gelu_tanh)
    return w.linear(apply<Gelu>(w.graph(), {}, {w.linear(x, n.up)}), n.down);
  const Value gate = w.linear(x, n.gate), up = w.linear(x, n.up);
  return w.linear(apply<SiluGate>(w.graph(), {}, {gate, up}), n.down);
}

Graph layer_graph(const ModelConfig& c, const DecoderShape& shape, std::int64_t capacity) {
  BlockWriter w(c, shape, ParameterBlock::layer, "layer");
  const Names& n = names_of(c.family);
  Value x = w.hidden();
  x = apply<Add>(w.graph(), {}, {x, attention_part(w, c, w.norm(x, n.attn_norm), capacity)});
  x = apply<Add>(w.graph(), {}, {x, ffn_part(w, c, w.norm(x, n.ffn_norm))});
  w.graph().add_output("y", PortKind::activation, x);
  return w.take();
}

// The matrix [v e] that makes logits.
Value output_matrix(BlockWriter& w, const ModelConfig& c, DType dtype) {
  if (!c.tied_embeddings) return w.param("lm_head.weight");
  return w.graph().add_input("lm_head.weight", PortKind::param,
                             Type(dtype, {{'v', c.vocab}, {'e', c.hidden}}));
}

Graph head_graph(const ModelConfig& c, const DecoderShape& shape) {
  BlockWriter w(c, shape, ParameterBlock::head, "head");
  const Value x = w.norm(w.hidden(), names_of(c.family).final_norm), targets = w.data("targets");
  const auto stats =
      apply_all<VocabStats>(w.graph(), {}, {x, output_matrix(w, c, shape.dtype), targets});
  w.graph().add_output("loss", PortKind::activation,
                       apply<TokenLoss>(w.graph(), {}, {stats[0], stats[1], targets}));
  return w.take();
}

Graph logits_graph(const ModelConfig& c, const DecoderShape& shape) {
  BlockWriter w(c, shape, ParameterBlock::head, "head");
  const Value last = apply<Take>(w.graph(), {}, {w.hidden(), w.index("last")});
  const Value x = w.norm(last, names_of(c.family).final_norm);
  const Value logits =
      apply<Contract>(w.graph(), {"b n e, v e -> b n v", accumulate_dtype(shape.dtype)},
                      {x, output_matrix(w, c, shape.dtype)});
  w.graph().add_output("logits", PortKind::activation, logits);
  return w.take();
}

ModelGraphs assemble(const ModelConfig& c, Graph embed, Graph layer, Graph head) {
  ModelGraphs m;
  m.name = family_name(c.family);
  m.embed = std::move(embed);
  m.layer = std::move(layer);
  m.head = std::move(head);
  m.layers = int(c.layers);
  for (const auto& spec : parameters(c))
    if (!spec.weight_decay) m.undecayed.insert(port_name(spec));
  if (c.tied_embeddings) {
    m.tied_head = "lm_head.weight";
    m.tied_embed = names_of(c.family).tokens + ".weight";
  }
  return m;
}

}  // namespace

std::string port_name(const ParameterSpec& spec) {
  const auto at = spec.name.find("{}.");
  return at == std::string::npos ? spec.name : spec.name.substr(at + 3);
}

DType param_dtype(const ParameterSpec& spec, DType compute) {
  return spec.weight_decay ? compute : accumulate_dtype(compute);
}

std::string buffer_name(const ParameterSpec& spec, std::int64_t layer) {
  switch (spec.block) {
    case ParameterBlock::embed:
      return "embed." + spec.name;
    case ParameterBlock::head:
      return "head." + spec.name;
    default:
      return fmt::format("layer.{}.{}", layer, port_name(spec));
  }
}

ModelGraphs build_decoder(const ModelConfig& c, const DecoderShape& shape) {
  return assemble(c, embed_graph(c, shape), layer_graph(c, shape, 0), head_graph(c, shape));
}

ModelGraphs build_cached_decoder(const ModelConfig& c, const DecoderShape& shape,
                                 std::int64_t capacity) {
  return assemble(c, embed_graph(c, shape), layer_graph(c, shape, capacity),
                  logits_graph(c, shape));
}

}  // namespace autarky
