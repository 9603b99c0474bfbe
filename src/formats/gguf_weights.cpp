#include "formats/gguf_weights.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/words.h"
#include "formats/gguf_config.h"

namespace autarky {
namespace {

struct Name {
  std::string_view hf, gguf;
};
constexpr Name kLlamaNames[] = {{"model.embed_tokens", "token_embd"},
                                {"model.norm", "output_norm"},
                                {"lm_head", "output"},
                                {"model.layers.{}.input_layernorm", "blk.{}.attn_norm"},
                                {"model.layers.{}.self_attn.q_proj", "blk.{}.attn_q"},
                                {"model.layers.{}.self_attn.k_proj", "blk.{}.attn_k"},
                                {"model.layers.{}.self_attn.v_proj", "blk.{}.attn_v"},
                                {"model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"},
                                {"model.layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm"},
                                {"model.layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm"},
                                {"model.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"},
                                {"model.layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"},
                                {"model.layers.{}.mlp.up_proj", "blk.{}.ffn_up"},
                                {"model.layers.{}.mlp.down_proj", "blk.{}.ffn_down"}};
constexpr Name kGpt2Names[] = {{"transformer.wte", "token_embd"},
                               {"transformer.wpe", "position_embd"},
                               {"transformer.ln_f", "output_norm"},
                               {"lm_head", "output"},
                               {"transformer.h.{}.ln_1", "blk.{}.attn_norm"},
                               {"transformer.h.{}.attn.c_attn", "blk.{}.attn_qkv"},
                               {"transformer.h.{}.attn.c_proj", "blk.{}.attn_output"},
                               {"transformer.h.{}.ln_2", "blk.{}.ffn_norm"},
                               {"transformer.h.{}.mlp.c_fc", "blk.{}.ffn_up"},
                               {"transformer.h.{}.mlp.c_proj", "blk.{}.ffn_down"}};

std::string gguf_name(const ModelConfig& c, const std::string& hf_name) {
  const auto dot = hf_name.rfind('.');
  const std::string_view stem = std::string_view(hf_name).substr(0, dot);
  const auto find = [&](auto& names) {
    const auto it = std::find_if(std::begin(names), std::end(names),
                                 [&](const Name& n) { return n.hf == stem; });
    AUTARKY_CHECK(it != std::end(names), "every tensor of these families has a name in GGUF");
    return std::string(it->gguf) + hf_name.substr(dot);
  };
  return c.family == Family::gpt2 ? find(kGpt2Names) : find(kLlamaNames);
}

// How a tensor lies in the file.
struct Place {
  std::string name;                 // of the instance
  std::vector<std::int64_t> shape;  // in the file, slowest dim first
  bool transposed = false;
  std::int64_t rotary_heads = 0;  // 0: rows in the checkpoint's order

  Place(const ModelConfig& c, const TensorMap& map, std::int64_t layer)
      : name(layer_name(gguf_name(c, map.hf_name), layer)), shape(map.hf_shape) {
    transposed =
        c.family == Family::gpt2 && map.block == ParameterBlock::layer && shape.size() == 2;
    if (transposed) std::swap(shape[0], shape[1]);
    const bool permuted = c.family == Family::llama || c.family == Family::mistral;
    if (permuted && map.hf_name.find(".q_proj.") != std::string::npos) rotary_heads = c.heads;
    if (permuted && map.hf_name.find(".k_proj.") != std::string::npos) rotary_heads = c.kv_heads;
  }

  std::size_t rows() const { return std::size_t(shape.front()); }
  std::size_t width() const { return shape.size() > 1 ? std::size_t(shape.back()) : 1; }
  bool in_order() const { return !transposed && rotary_heads == 0; }

  // The checkpoint's row that is the file's row `r`.
  std::size_t row(std::size_t r) const {
    if (rotary_heads == 0) return r;
    const std::size_t d = rows() / std::size_t(rotary_heads), in_head = r % d;
    return r - in_head + in_head % 2 * (d / 2) + in_head / 2;
  }
  // Where value `i` of the file's row `r` lies in the checkpoint's tensor.
  std::size_t index(std::size_t r, std::size_t i) const {
    return transposed ? i * rows() + r : row(r) * width() + i;
  }
};

class Loader {
 public:
  Loader(const GgufReader& file, const ModelConfig& config)
      : file_(file), config_(config), maps_(tensor_maps(config)), specs_(specs_by_name(config)) {}

  void check() const {
    std::set<std::string> wanted{"rope_freqs.weight"};
    for_each_tensor(maps_, config_.layers, [&](const TensorMap& map, std::int64_t layer) {
      const Place place(config_, map, layer);
      const GgufTensor& t = file_.tensor(place.name);
      if (t.shape != place.shape)
        throw InputError(fmt::format("tensor '{}' has another shape than the model's", place.name))
            .at(file_.path().string())
            .found(fmt::format("{}", t.shape))
            .wanted(fmt::format("{}", place.shape));
      wanted.insert(place.name);
    });
    for (const auto& [name, tensor] : file_.tensors())
      if (!wanted.contains(name)) throw unknown(name, tensor, wanted);
  }

  void load(const WeightSink& sink) const {
    std::vector<float> values;
    for_each_tensor(maps_, config_.layers, [&](const TensorMap& map, std::int64_t layer) {
      const Place place(config_, map, layer);
      const GgufTensor& t = file_.tensor(place.name);
      values.resize(std::size_t(t.elements()));
      read(t, place, values);
      split_tensor(map, layer, values, specs_, sink);
    });
  }

 private:
  InputError unknown(const std::string& name, const GgufTensor& tensor,
                     const std::set<std::string>& wanted) const {
    const std::vector<std::string> names(wanted.begin(), wanted.end());
    InputError error(fmt::format("the model has no tensor '{}'", name));
    error.at(file_.path().string())
        .found(fmt::format("{} {}", gguf_type_info(tensor.type).name, tensor.shape))
        .wanted(fmt::format("only the tensors of a {} of {} layers", family_name(config_.family),
                            config_.layers));
    if (const auto nearest = nearest_name(name, names); !nearest.empty())
      error.hint(fmt::format("The nearest is '{}'", nearest));
    return error;
  }

  static void read(const GgufTensor& t, const Place& place, std::span<float> values) {
    if (place.in_order()) return decode_blocks(t.type, t.bytes, values);
    const auto width = place.width(), bytes = t.bytes.size() / place.rows();
    std::vector<float> row(width);
    for (std::size_t r = 0; r < place.rows(); ++r) {
      decode_blocks(t.type, t.bytes.subspan(r * bytes, bytes), row);
      for (std::size_t i = 0; i < width; ++i) values[place.index(r, i)] = row[i];
    }
  }

  const GgufReader& file_;
  const ModelConfig& config_;
  std::vector<TensorMap> maps_;
  std::map<std::string, ParameterSpec> specs_;
};

GgufType stored_type(const Place& place, GgufType type) {
  if (place.shape.size() == 1 || place.name.starts_with("position_embd")) return GgufType::f32;
  return place.shape.back() % gguf_type_info(type).values == 0 ? type : GgufType::f16;
}

std::vector<GgufSpec> stored_tensors(const ModelConfig& c, GgufType type) {
  std::vector<GgufSpec> tensors;
  if (const auto divisors = gguf_rope_divisors(c); !divisors.empty())
    tensors.push_back({"rope_freqs.weight", GgufType::f32, {std::int64_t(divisors.size())}});
  for_each_tensor(tensor_maps(c), c.layers, [&](const TensorMap& map, std::int64_t layer) {
    const Place place(c, map, layer);
    tensors.push_back({place.name, stored_type(place, type), place.shape});
  });
  return tensors;
}

// The numbers by which llama.cpp names what most of a file's tensors are.
std::uint32_t file_type(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return 0;
    case GgufType::f16:
      return 1;
    case GgufType::bf16:
      return 32;
    default:
      return 7;  // Q8_0
  }
}

GgufMetadata all_metadata(const ModelConfig& config, const GgufMetadata& tokenizer, GgufType type) {
  GgufMetadata all = gguf_model_metadata(config);
  all.emplace_back("general.file_type", file_type(type));
  if (type == GgufType::q8_0) all.emplace_back("general.quantization_version", std::uint32_t(2));
  all.insert(all.end(), tokenizer.begin(), tokenizer.end());
  return all;
}

}  // namespace

void load_gguf_weights(const GgufReader& file, const ModelConfig& config, const WeightSink& sink) {
  const Loader loader(file, config);
  loader.check();
  loader.load(sink);
}

GgufWeightsWriter::GgufWeightsWriter(const fs::path& path, const ModelConfig& config,
                                     const GgufMetadata& tokenizer, GgufType type)
    : config_(config),
      writer_(path, all_metadata(config, tokenizer, type), stored_tensors(config, type)),
      joiner_(config, [this](const TensorMap& map, std::int64_t layer,
                             std::span<const float> values) { write_tensor(map, layer, values); }) {
  if (const auto divisors = gguf_rope_divisors(config); !divisors.empty())
    writer_.write("rope_freqs.weight", divisors);
}

void GgufWeightsWriter::put(const ParameterSpec& spec, std::int64_t layer,
                            std::span<const float> values) {
  joiner_.put(spec, layer, values);
}

void GgufWeightsWriter::write_tensor(const TensorMap& map, std::int64_t layer,
                                     std::span<const float> values) {
  const Place place(config_, map, layer);
  if (place.in_order()) return writer_.write(place.name, values);
  constexpr std::size_t kPart = 65536;  // values, about
  const auto width = place.width();
  const auto rows_at_once = std::max<std::size_t>(1, kPart / width);
  std::vector<float> part;
  for (std::size_t r = 0; r < place.rows(); r += rows_at_once) {
    part.clear();
    for (std::size_t q = r; q < std::min(place.rows(), r + rows_at_once); ++q)
      for (std::size_t i = 0; i < width; ++i) part.push_back(values[place.index(q, i)]);
    writer_.write(place.name, part);
  }
}

void GgufWeightsWriter::finish() {
  AUTARKY_CHECK(joiner_.complete(), "all parameters are written before finish()");
  writer_.finish();
}

}  // namespace autarky
