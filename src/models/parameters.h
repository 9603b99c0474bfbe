// The parameters of a model, without any graph: names, named dims, initial values; and how they lie
// in the tensors of a Hugging Face checkpoint.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"
#include "models/config.h"

namespace autarky {

// The block that a parameter belongs to; `layer` parameters exist once per layer.
enum class ParameterBlock : std::uint8_t { embed, layer, head };

enum class InitKind : std::uint8_t { normal, ones, zeros };

// Initial values, as the family does it in transformers: matrices and embeddings normal with
// initializer_range; GPT-2's projections onto the residual divided by sqrt(2 layers) (Radford
// 2019).
struct Init {
  InitKind kind = InitKind::zeros;
  double std = 0;  // normal only
  bool operator==(const Init&) const = default;
};

struct ParameterSpec {
  std::string name;  // as in the checkpoint, "{}" standing for the layer's number
  // v vocabulary, e hidden, g kv heads, r queries per kv head, d head size, f feed-forward,
  // p positions; in memory order, as in the checkpoint's tensor.
  std::vector<Dim> dims;
  ParameterBlock block = ParameterBlock::layer;
  Init init;
  bool weight_decay = false;  // matrices and embeddings; not norms and biases

  std::int64_t count() const;  // elements of one instance
};

// In a fixed order: embedding, layer, head. All have q [g r d e], k, v [g d e], o [e g r d], gate,
// up [f e], down [e f], but GPT-2, which stores its matrices the other way round: q [e g r d], k,
// v [e g d], o [g r d e], up [e f], down [f e]. Tied embeddings have no head matrix.
std::vector<ParameterSpec> parameters(const ModelConfig& config);

// All parameters of all layers.
std::int64_t parameter_count(const ModelConfig& config);

// "model.layers.{}.x" -> "model.layers.3.x".
std::string layer_name(std::string_view name, std::int64_t layer);

// One tensor of a checkpoint and the parameters that lie in it, one after the other along
// `concat_dim`, or in `turns` equal parts by turns: k0 v0 k1 v1 ... for two. Most tensors are one
// parameter. The one map for loading and for saving.
struct TensorMap {
  struct Piece {
    std::string parameter;    // ParameterSpec::name
    std::int64_t extent = 0;  // along concat_dim
    bool operator==(const Piece&) const = default;
  };
  std::string hf_name;  // "{}" standing for the layer's number
  std::vector<std::int64_t> hf_shape;
  std::vector<Piece> pieces;
  int concat_dim = 0;
  std::int64_t turns = 1;  // divides every piece's extent
  ParameterBlock block = ParameterBlock::layer;
};
std::vector<TensorMap> tensor_maps(const ModelConfig& config);

}  // namespace autarky
