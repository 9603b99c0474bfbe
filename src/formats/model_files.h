// A model on disk, whatever its format: the one door for all who read one.
#pragma once
#include <memory>
#include <optional>
#include <string_view>

#include "base/dtype.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "formats/weights.h"
#include "models/config.h"
#include "text/tokenizer.h"

namespace autarky {

class ModelFiles {
 public:
  // A folder with config.json and safetensors (one file or shards), or a .gguf file. Files are
  // mapped; InputError for what is missing or wrong.
  explicit ModelFiles(const fs::path& path);

  const fs::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  // Of the embeddings; f32 where they are quantised.
  DType dtype() const { return dtype_; }
  // Nothing where there is none.
  std::optional<TokenizerSpec> tokenizer() const;
  // Calls `sink` for every parameter, as load_weights.
  void load(const WeightSink& sink) const;

 private:
  fs::path path_;
  std::unique_ptr<const GgufReader> gguf_;  // one of the two
  std::unique_ptr<const SafetensorsReader> safetensors_;
  ModelConfig config_;
  DType dtype_ = DType::f32;
};

bool is_gguf(const fs::path& path);  // by its name

// The weights alone, of a model whose configuration is known from elsewhere.
void load_model_weights(const fs::path& path, const ModelConfig& config, const WeightSink& sink);
// The configuration alone, without looking for weights.
ModelConfig read_model_config(const fs::path& path);
// InputError if there is no tokenizer.
Tokenizer load_tokenizer(const fs::path& path);

}  // namespace autarky
