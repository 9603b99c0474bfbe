#include "formats/gguf_config.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"

namespace autarky {
namespace {

enum class Form : std::uint8_t { count, number };
struct Key {
  std::string_view hf, gguf;  // the latter behind the architecture and a dot
  Form form = Form::count;
  bool needed = true;
};

constexpr Key kLlamaKeys[] = {
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_hidden_layers", "block_count"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv", Form::count, false},
    {"head_dim", "attention.key_length", Form::count, false},
    {"max_position_embeddings", "context_length"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", Form::number},
    {"rope_theta", "rope.freq_base", Form::number, false},
    {"sliding_window", "attention.sliding_window", Form::count, false},
    {"vocab_size", "vocab_size", Form::count, false}};
constexpr Key kGpt2Keys[] = {{"n_embd", "embedding_length"},
                             {"n_inner", "feed_forward_length"},
                             {"n_layer", "block_count"},
                             {"n_head", "attention.head_count"},
                             {"n_positions", "context_length"},
                             {"layer_norm_epsilon", "attention.layer_norm_epsilon", Form::number},
                             {"vocab_size", "vocab_size", Form::count, false}};
// Read by other means than the tables, or of no effect on the numbers.
constexpr std::string_view kOtherKeys[] = {
    "attention.value_length", "rope.dimension_count",        "rope.scaling.type",
    "rope.scaling.factor",    "rope.scale_linear",           "rope.scaling.original_context_length",
    "rope.scaling.finetuned", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
    "tensor_data_layout"};
constexpr std::int64_t kMostDivisors = 1 << 15;
constexpr std::string_view kArchitectures[] = {"llama", "qwen2", "qwen3", "gpt2"};

std::span<const Key> keys_of(std::string_view architecture) {
  if (architecture == "gpt2") return kGpt2Keys;
  return kLlamaKeys;
}

std::string_view architecture_of(const ModelConfig& c) {
  switch (c.family) {
    case Family::llama:
    case Family::mistral:
      return "llama";
    case Family::qwen2:
      return "qwen2";
    case Family::qwen3:
      return "qwen3";
    case Family::gpt2:
      return "gpt2";
    default:
      throw InputError(fmt::format("GGUF has no architecture for {}", family_name(c.family)))
          .wanted("a model of gpt2, llama, mistral, qwen2 or qwen3")
          .hint("Keep it as safetensors");
  }
}

// A float's shortest decimal form; a round trip through the file keeps it.
double rounded(double x) { return std::strtod(fmt::format("{}", float(x)).c_str(), nullptr); }

// What a file says of a model, or would say once it is written.
struct Description {
  const Json& metadata;
  std::function<bool(const std::string&)> has_tensor;
  std::int64_t embedding_rows = 0;
  std::vector<float> rope_divisors;  // empty: none
  std::string where;
};

class ConfigOfMetadata {
 public:
  explicit ConfigOfMetadata(const Description& file) : file_(file) {}

  ModelConfig read() {
    architecture_ = text("general.architecture");
    if (std::find(std::begin(kArchitectures), std::end(kArchitectures), architecture_) ==
        std::end(kArchitectures))
      throw wrong("general.architecture",
                  fmt::format("one of {}", fmt::join(kArchitectures, ", ")));
    check_keys();
    for (const Key& key : keys_of(architecture_)) take(key);
    if (!json_.contains("vocab_size")) json_["vocab_size"] = file_.embedding_rows;
    json_["tie_word_embeddings"] = !file_.has_tensor("output.weight");
    read_family();
    if (architecture_ != "gpt2") read_heads(), read_rope();
    read_ends();
    return parse_config(json_, file_.where);
  }

 private:
  const Json* find(const std::string& key) const {
    const auto it = file_.metadata.find(key);
    return it == file_.metadata.end() ? nullptr : &*it;
  }
  const Json* own(std::string_view key) const { return find(full(key)); }
  std::string full(std::string_view key) const { return fmt::format("{}.{}", architecture_, key); }

  InputError wrong(const std::string& key, std::string_view wanted) const {
    const Json* value = find(key);
    InputError error(fmt::format("key '{}' has a value that cannot be used", key));
    error.at(file_.where)
        .found(!value ? "nothing"
                      : value->dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60))
        .wanted(wanted);
    return error;
  }
  std::string text(const std::string& key) const {
    const Json* value = find(key);
    if (!value || !value->is_string()) throw wrong(key, "a text");
    return value->get<std::string>();
  }

  void check_keys() const {
    const std::string prefix = architecture_ + ".";
    for (const auto& [key, value] : file_.metadata.items()) {
      if (!key.starts_with(prefix)) continue;
      const std::string_view rest = std::string_view(key).substr(prefix.size());
      const auto keys = keys_of(architecture_);
      const bool known =
          std::any_of(keys.begin(), keys.end(), [&](const Key& k) { return k.gguf == rest; }) ||
          std::find(std::begin(kOtherKeys), std::end(kOtherKeys), rest) != std::end(kOtherKeys);
      const bool neutral = rest == "expert_count" || rest == "expert_used_count"
                               ? value == 0
                               : (rest == "attention.causal" && value == true) ||
                                     (rest == "rope.scaling.attn_factor" && value == 1);
      if (!known && !neutral)
        throw InputError(fmt::format("key '{}' is not supported", key))
            .at(file_.where)
            .hint("it may change what the model computes");
    }
  }

  void take(const Key& key) {
    const Json* value = own(key.gguf);
    if (!value && !key.needed) return;
    const bool fits =
        value && (key.form == Form::number ? value->is_number() : value->is_number_integer());
    if (!fits)
      throw wrong(full(key.gguf), key.form == Form::count ? "a whole number" : "a number")
          .hint("is this a whole model of one architecture, the same in all its layers?");
    json_[std::string(key.hf)] = *value;
  }

  void read_family() {
    const bool window = json_.contains("sliding_window");
    const bool llama = architecture_ == "llama";
    json_["model_type"] = llama && window ? "mistral" : architecture_;
    if (architecture_ == "gpt2" || json_["model_type"] == "mistral") return;
    if (llama || architecture_ == "qwen3")
      json_["attention_bias"] = file_.has_tensor("blk.0.attn_q.bias");
    if (llama) json_["mlp_bias"] = file_.has_tensor("blk.0.ffn_gate.bias");
    if (!llama) json_["use_sliding_window"] = window;
    if (!llama && window) json_["max_window_layers"] = 0;
  }

  void read_heads() const {
    const auto size = json_.find("head_dim");
    for (const char* key : {"attention.value_length", "rope.dimension_count"})
      if (const Json* value = own(key); value && size != json_.end() && *value != *size)
        throw wrong(full(key), fmt::format("{}, the size of a head", size->dump()));
    const Json* turned = own("rope.dimension_count");
    if (!turned || size != json_.end()) return;
    if (*turned != json_["hidden_size"].get<std::int64_t>() /
                       std::max<std::int64_t>(1, json_["num_attention_heads"].get<std::int64_t>()))
      throw wrong(full("rope.dimension_count"), "the size of a head");
  }

  void read_rope() {
    if (!file_.rope_divisors.empty()) return read_llama3();
    const Json* kind = own("rope.scaling.type");
    const Json* factor = own("rope.scaling.factor");
    if (!factor) factor = own("rope.scale_linear");
    if (!kind && (!factor || *factor == 1)) return;
    const std::string type = kind ? text(full("rope.scaling.type")) : "linear";
    if (type == "none") return;
    if (type != "linear" && type != "yarn")
      throw wrong(full("rope.scaling.type"), "none, linear or yarn");
    if (!factor || !factor->is_number()) throw wrong(full("rope.scaling.factor"), "a number");
    Json scaling = {{"rope_type", type}, {"factor", *factor}};
    const auto copy = [&](const char* hf, const char* gguf) {
      if (const Json* value = own(gguf)) scaling[hf] = *value;
    };
    if (type == "yarn") {
      copy("original_max_position_embeddings", "rope.scaling.original_context_length");
      copy("beta_fast", "rope.scaling.yarn_beta_fast");
      copy("beta_slow", "rope.scaling.yarn_beta_slow");
    }
    json_["rope_scaling"] = std::move(scaling);
  }

  // The file has the divisors only: the scaling that gives them is tried.
  void read_llama3() {
    const auto& divisors = file_.rope_divisors;
    const Json* original = own("rope.scaling.original_context_length");
    json_["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", rounded(double(*std::max_element(divisors.begin(), divisors.end())))},
        {"original_max_position_embeddings", original ? *original : Json(8192)},
        {"low_freq_factor", 1.0},
        {"high_freq_factor", 4.0}};
    const auto fitted = gguf_rope_divisors(parse_config(json_, file_.where));
    bool same = fitted.size() == divisors.size();
    for (std::size_t i = 0; same && i < fitted.size(); ++i)
      same = std::fabs(fitted[i] - divisors[i]) <= 1e-4f * divisors[i];
    if (!same)
      throw InputError("tensor 'rope_freqs.weight' holds a rotary scaling that is not known")
          .at(file_.where)
          .wanted("that of Llama 3.1");
  }

  void read_ends() {
    const auto id = [&](const char* key) -> Json {
      const Json* value = find(key);
      return value && value->is_number_integer() ? *value : Json();
    };
    json_["bos_token_id"] = id("tokenizer.ggml.bos_token_id");
    Json ends = Json::array();
    for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"})
      if (const Json end = id(key); !end.is_null() && (ends.empty() || ends[0] != end))
        ends.push_back(end);
    if (!ends.empty()) json_["eos_token_id"] = std::move(ends);
  }

  const Description& file_;
  std::string architecture_;
  Json json_ = Json::object();
};

void add_rope(const ModelConfig& c, const std::string& prefix, GgufMetadata& metadata) {
  const auto add = [&](const char* key, GgufValue value) {
    metadata.emplace_back(prefix + "rope.scaling." + key, std::move(value));
  };
  const RopeConfig& rope = c.rope;
  if (rope.kind == RopeKind::llama3)
    add("original_context_length", std::uint32_t(rope.original_max_positions));
  if (rope.kind != RopeKind::linear && rope.kind != RopeKind::yarn) return;
  add("type", std::string(rope_kind_name(rope.kind)));
  add("factor", float(rope.factor));
  if (rope.kind == RopeKind::linear) return;
  add("original_context_length", std::uint32_t(rope.original_max_positions));
  add("yarn_beta_fast", float(rope.beta_fast));
  add("yarn_beta_slow", float(rope.beta_slow));
}

// As it would be read back: numbers as the file's f32, and nothing that it does not hold.
ModelConfig as_stored(ModelConfig c) {
  if (c.family == Family::mistral && c.window == 0) c.family = Family::llama;
  c.norm_eps = rounded(c.norm_eps);
  c.rope.theta = rounded(c.rope.theta);
  c.rope.factor = rounded(c.rope.factor);
  if (c.rope.kind == RopeKind::linear) c.rope.original_max_positions = c.max_positions;
  c.initializer_range = 0;
  c.bos_id = -1;
  c.eos_ids.clear();
  c.notes.clear();
  return c;
}

Json scalars_of(const GgufMetadata& metadata) {
  Json json = Json::object();
  for (const auto& [key, value] : metadata) {
    if (const auto* n = std::get_if<std::uint32_t>(&value)) json[key] = *n;
    if (const auto* x = std::get_if<float>(&value)) json[key] = rounded(double(*x));
    if (const auto* text = std::get_if<std::string>(&value)) json[key] = *text;
  }
  return json;
}

// Reads the metadata back, as a file with the model's tensors would be read.
void check_round_trip(const ModelConfig& c, const GgufMetadata& metadata) {
  const Json scalars = scalars_of(metadata);
  const auto has = [&](const std::string& name) {
    if (name == "output.weight") return !c.tied_embeddings;
    return name == "blk.0.attn_q.bias" ? c.qkv_bias : c.ffn_input_bias;
  };
  const Description file{scalars, has, c.vocab, gguf_rope_divisors(c), "GGUF metadata"};
  if (as_stored(ConfigOfMetadata(file).read()) == as_stored(c)) return;
  throw InputError(fmt::format("GGUF has no keys for all that this {} has", family_name(c.family)))
      .hint("a rotary scaling or a bias is special: keep the model as safetensors");
}

}  // namespace

std::vector<float> gguf_rope_divisors(const ModelConfig& c) {
  if (c.position != PositionKind::rope || c.rope.kind != RopeKind::llama3) return {};
  RopeConfig plain = c.rope;
  plain.kind = RopeKind::none;
  const auto before = rope_inv_freq(plain, c.head_dim, c.max_positions);
  const auto after = rope_inv_freq(c.rope, c.head_dim, c.max_positions);
  std::vector<float> divisors;
  for (std::size_t i = 0; i < before.size(); ++i) divisors.push_back(float(before[i] / after[i]));
  return divisors;
}

ModelConfig gguf_model_config(const GgufReader& file) {
  Description d{file.metadata(),
                [&](const std::string& name) { return file.contains(name); },
                0,
                {},
                file.path().string()};
  d.embedding_rows = file.tensor("token_embd.weight").shape.front();
  if (file.contains("rope_freqs.weight")) {
    const GgufTensor& t = file.tensor("rope_freqs.weight");
    if (t.elements() > kMostDivisors)
      throw InputError("tensor 'rope_freqs.weight' is longer than any head")
          .at(d.where)
          .found(fmt::format("{} values", t.elements()))
          .wanted(fmt::format("at most {}", kMostDivisors));
    d.rope_divisors.resize(std::size_t(t.elements()));
    decode_blocks(t.type, t.bytes, d.rope_divisors);
  }
  return ConfigOfMetadata(d).read();
}

GgufMetadata gguf_model_metadata(const ModelConfig& c) {
  const std::string architecture(architecture_of(c)), prefix = architecture + ".";
  const Json json = to_config_json(c);
  GgufMetadata metadata{{"general.architecture", architecture}};
  for (const Key& key : keys_of(architecture)) {
    const auto it = json.find(std::string(key.hf));
    if (it == json.end() || it->is_null()) continue;
    const std::string name = prefix + std::string(key.gguf);
    if (key.form == Form::number) metadata.emplace_back(name, float(it->get<double>()));
    else metadata.emplace_back(name, std::uint32_t(it->get<std::int64_t>()));
  }
  if (architecture != "gpt2") {
    metadata.emplace_back(prefix + "attention.value_length", std::uint32_t(c.head_dim));
    metadata.emplace_back(prefix + "rope.dimension_count", std::uint32_t(c.head_dim));
    add_rope(c, prefix, metadata);
  }
  check_round_trip(c, metadata);
  return metadata;
}

}  // namespace autarky
