#include "formats/model_files.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"
#include "formats/gguf_weights.h"

namespace autarky {
namespace {

DType dtype_of(const GgufTensor& embeddings) {
  if (embeddings.type == GgufType::bf16) return DType::bf16;
  return embeddings.type == GgufType::f16 ? DType::f16 : DType::f32;
}

// That of the largest tensor: in every model a matrix, as the embeddings are.
DType dtype_of(const SafetensorsReader& weights) {
  const SafetensorsTensor* largest = nullptr;
  for (const auto& [name, t] : weights.tensors())
    if (is_floating(t.dtype) && (!largest || t.bytes.size() > largest->bytes.size())) largest = &t;
  return largest ? largest->dtype : DType::f32;
}

bool has_tokenizer(const fs::path& folder) {
  return fs::exists(folder / "tokenizer.json") || fs::exists(folder / "tokenizer.model");
}

}  // namespace

bool is_gguf(const fs::path& path) { return path.extension() == ".gguf"; }

ModelConfig read_model_config(const fs::path& path) {
  if (is_gguf(path)) return gguf_model_config(GgufReader(path));
  return parse_config(read_json(path / "config.json"), (path / "config.json").string());
}

ModelFiles::ModelFiles(const fs::path& path) : path_(path) {
  if (is_gguf(path)) {
    gguf_ = std::make_unique<const GgufReader>(path);
    config_ = gguf_model_config(*gguf_);
    dtype_ = dtype_of(gguf_->tensor("token_embd.weight"));
  } else {
    config_ = read_model_config(path);
    safetensors_ = std::make_unique<const SafetensorsReader>(path);
    dtype_ = dtype_of(*safetensors_);
  }
}

std::optional<TokenizerSpec> ModelFiles::tokenizer() const {
  if (gguf_) return gguf_tokenizer(*gguf_);
  if (!has_tokenizer(path_)) return std::nullopt;
  return read_tokenizer_spec(path_);
}

void ModelFiles::load(const WeightSink& sink) const {
  if (gguf_) load_gguf_weights(*gguf_, config_, sink);
  else load_weights(*safetensors_, config_, sink);
}

void load_model_weights(const fs::path& path, const ModelConfig& config, const WeightSink& sink) {
  if (is_gguf(path)) load_gguf_weights(GgufReader(path), config, sink);
  else load_weights(SafetensorsReader(path), config, sink);
}

Tokenizer load_tokenizer(const fs::path& path) {
  if (!is_gguf(path)) return Tokenizer::load(path);
  auto spec = gguf_tokenizer(GgufReader(path));
  if (!spec) throw InputError("the file has no tokenizer").at(path.string());
  return Tokenizer(std::move(*spec), path.string());
}

}  // namespace autarky
