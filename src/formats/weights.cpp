#include "formats/weights.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/words.h"

namespace autarky {
namespace {

using Shape = std::vector<std::int64_t>;

// Parameters or tensors of all layers, layer by layer: calls visit(item, layer).
template <typename Item, typename Visit>
void for_each_instance(const std::vector<Item>& items, std::int64_t layers, const Visit& visit) {
  const auto visit_block = [&](ParameterBlock block, std::int64_t layer) {
    for (const Item& item : items)
      if (item.block == block) visit(item, layer);
  };
  visit_block(ParameterBlock::embed, 0);
  for (std::int64_t layer = 0; layer < layers; ++layer) visit_block(ParameterBlock::layer, layer);
  visit_block(ParameterBlock::head, 0);
}

template <typename Stored>
void decode_as(std::span<const std::byte> bytes, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored x;
    std::memcpy(&x, bytes.data() + i * sizeof x, sizeof x);
    values[i] = static_cast<float>(x);
  }
}

void decode(DType dtype, std::span<const std::byte> bytes, std::span<float> values) {
  AUTARKY_CHECK(bytes.size() == values.size() * std::size_t(byte_size(dtype)),
                "as many values as the tensor has");
  switch (dtype) {
    case DType::f64:
      return decode_as<double>(bytes, values);
    case DType::f32:
      return decode_as<float>(bytes, values);
    case DType::bf16:
      return decode_as<bf16>(bytes, values);
    case DType::f16:
      return decode_as<f16>(bytes, values);
    default:
      AUTARKY_CHECK(false, "weights have a floating type");
  }
}

template <typename Stored>
void encode_as(std::span<const float> values, std::byte* bytes) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored x(values[i]);
    std::memcpy(bytes + i * sizeof x, &x, sizeof x);
  }
}

void encode(DType dtype, std::span<const float> values, std::byte* bytes) {
  switch (dtype) {
    case DType::f64:
      return encode_as<double>(values, bytes);
    case DType::f32:
      return encode_as<float>(values, bytes);
    case DType::bf16:
      return encode_as<bf16>(values, bytes);
    case DType::f16:
      return encode_as<f16>(values, bytes);
    default:
      AUTARKY_CHECK(false, "weights have a floating type");
  }
}

// A tensor as [outer, width], the pieces side by side in each row.
struct Rows {
  std::size_t outer = 1;  // product of the dims before concat_dim, and the turns
  std::size_t inner = 1;  // of those after it
  std::size_t width = 1;  // a turn of concat_dim, and those after it
  std::size_t turns = 1;

  explicit Rows(const TensorMap& map) : turns(std::size_t(map.turns)) {
    for (std::size_t i = 0; i < map.hf_shape.size(); ++i) {
      const auto extent = std::size_t(map.hf_shape[i]);
      if (int(i) < map.concat_dim) outer *= extent;
      else width *= extent;
      if (int(i) > map.concat_dim) inner *= extent;
    }
    outer *= turns, width /= turns;
  }
  // Values of a piece in a row.
  std::size_t run(const TensorMap::Piece& piece) const {
    return std::size_t(piece.extent) / turns * inner;
  }
};

bool is_known_buffer(std::string_view name) {
  for (const std::string_view end : {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"})
    if (name.ends_with(end)) return true;
  return false;
}

// Finds the tensors of a model in a checkpoint.
class Loader {
 public:
  Loader(const SafetensorsReader& reader, const ModelConfig& config)
      : reader_(reader),
        config_(config),
        maps_(tensor_maps(config)),
        specs_(specs_by_name(config)),
        prefix_(maps_.front().hf_name.substr(0, maps_.front().hf_name.find('.') + 1)) {
    const std::string& first = maps_.front().hf_name;
    bare_ = !reader.contains(first) && reader.contains(bare_name(first));
  }

  void check() const {
    std::set<std::string> wanted;
    for_each_instance(maps_, config_.layers, [&](const TensorMap& map, std::int64_t layer) {
      const std::string name = stored_name(map, layer);
      check_tensor(name, reader_.tensor(name), map.hf_shape);
      wanted.insert(name);
    });
    for (const auto& [name, tensor] : reader_.tensors())
      if (!wanted.contains(name) && !is_ignored(name)) throw unknown(name, tensor, wanted);
  }

  void load(const WeightSink& sink, const WeightFilter& wanted) const {
    for_each_instance(maps_, config_.layers, [&](const TensorMap& map, std::int64_t layer) {
      load_tensor(map, layer, sink, wanted);
    });
  }

 private:
  std::string bare_name(const std::string& name) const {
    return name.starts_with(prefix_) ? name.substr(prefix_.size()) : name;
  }
  std::string stored_name(const TensorMap& map, std::int64_t layer) const {
    const std::string name = layer_name(map.hf_name, layer);
    return bare_ ? bare_name(name) : name;
  }
  bool is_ignored(const std::string& name) const {
    return is_known_buffer(name) || (config_.tied_embeddings && name == "lm_head.weight");
  }

  void check_tensor(const std::string& name, const SafetensorsTensor& tensor,
                    const Shape& wanted) const {
    const std::string where = reader_.path().string();
    if (tensor.shape != wanted)
      throw InputError(fmt::format("tensor '{}' has another shape than the model's", name))
          .at(where)
          .found(fmt::format("{}", tensor.shape))
          .wanted(fmt::format("{}", wanted))
          .hint("Does config.json belong to these weights?");
    if (!is_floating(tensor.dtype))
      throw InputError(fmt::format("tensor '{}' holds no floating-point numbers", name))
          .at(where)
          .found(safetensors_dtype_name(tensor.dtype))
          .wanted("F64, F32, BF16 or F16");
  }

  InputError unknown(const std::string& name, const SafetensorsTensor& tensor,
                     const std::set<std::string>& wanted) const {
    const std::vector<std::string> names(wanted.begin(), wanted.end());
    const std::string nearest = nearest_name(name, names);
    InputError error(fmt::format("the model has no tensor '{}'", name));
    error.at(reader_.path().string())
        .found(fmt::format("{} {}", safetensors_dtype_name(tensor.dtype), tensor.shape))
        .wanted(fmt::format("only the {} tensors of a {} of {} layers", wanted.size(),
                            family_name(config_.family), config_.layers))
        .hint(nearest.empty() ? "Does config.json belong to these weights?"
                              : fmt::format("The nearest is '{}'", nearest));
    return error;
  }

  void load_tensor(const TensorMap& map, std::int64_t layer, const WeightSink& sink,
                   const WeightFilter& wanted) const {
    const SafetensorsTensor& tensor = reader_.tensor(stored_name(map, layer));
    const Rows rows(map);
    const auto bytes = std::size_t(byte_size(tensor.dtype));
    std::size_t begin = 0;  // of the piece, in a row
    for (const auto& piece : map.pieces) {
      const std::size_t run = rows.run(piece), from = std::exchange(begin, begin + run);
      const ParameterSpec& spec = specs_.at(piece.parameter);
      if (wanted && !wanted(spec, layer)) continue;
      std::vector<float> values(rows.outer * run);
      for (std::size_t row = 0; row < rows.outer; ++row)
        decode(tensor.dtype, tensor.bytes.subspan((row * rows.width + from) * bytes, run * bytes),
               std::span(values).subspan(row * run, run));
      sink(spec, layer, values);
    }
  }

  const SafetensorsReader& reader_;
  const ModelConfig& config_;
  std::vector<TensorMap> maps_;
  std::map<std::string, ParameterSpec> specs_;
  std::string prefix_;  // of the model without its head
  bool bare_ = false;   // stored without it
};

WrittenFile save_config(const fs::path& folder, const ModelConfig& config, DType dtype) {
  const std::string text = to_config_json(config, dtype).dump(2) + "\n";
  write_file_atomic(folder / "config.json", text);
  return {"config.json", std::int64_t(text.size()), xxh3(text)};
}

// Tensors of a checkpoint as they will be written.
std::vector<SafetensorsSpec> stored_tensors(const ModelConfig& config, DType dtype) {
  std::vector<SafetensorsSpec> tensors;
  for_each_tensor(tensor_maps(config), config.layers,
                  [&](const TensorMap& map, std::int64_t layer) {
                    tensors.push_back({layer_name(map.hf_name, layer), dtype, map.hf_shape});
                  });
  return tensors;
}

}  // namespace

std::map<std::string, ParameterSpec> specs_by_name(const ModelConfig& config) {
  std::map<std::string, ParameterSpec> specs;
  for (auto& spec : parameters(config)) specs.emplace(spec.name, spec);
  return specs;
}

void for_each_tensor(const std::vector<TensorMap>& maps, std::int64_t layers,
                     const std::function<void(const TensorMap& map, std::int64_t layer)>& visit) {
  for_each_instance(maps, layers, visit);
}

std::vector<ParameterInstance> parameter_instances(const ModelConfig& config) {
  std::vector<ParameterInstance> list;
  for_each_instance(parameters(config), config.layers,
                    [&](const ParameterSpec& spec, std::int64_t layer) {
                      list.push_back({spec, layer});
                    });
  return list;
}

void read_floats(const SafetensorsTensor& tensor, std::span<float> values) {
  decode(tensor.dtype, tensor.bytes, values);
}

void load_weights(const SafetensorsReader& reader, const ModelConfig& config,
                  const WeightSink& sink, const WeightFilter& wanted) {
  const Loader loader(reader, config);
  loader.check();
  loader.load(sink, wanted);
}

void split_tensor(const TensorMap& map, std::int64_t layer, std::span<const float> values,
                  const std::map<std::string, ParameterSpec>& specs, const WeightSink& sink) {
  if (map.pieces.size() == 1) return sink(specs.at(map.pieces[0].parameter), layer, values);
  const Rows rows(map);
  std::size_t begin = 0;
  for (const auto& piece : map.pieces) {
    const std::size_t run = rows.run(piece);
    std::vector<float> part(rows.outer * run);
    for (std::size_t row = 0; row < rows.outer; ++row)
      std::copy_n(values.data() + row * rows.width + begin, run, part.data() + row * run);
    sink(specs.at(piece.parameter), layer, part);
    begin += run;
  }
}

TensorJoiner::TensorJoiner(const ModelConfig& config, Sink sink, const WritingShare& share)
    : sink_(std::move(sink)), maps_(tensor_maps(config)) {
  std::size_t tensor = 0;
  for_each_tensor(maps_, config.layers, [&](const TensorMap& map, std::int64_t layer) {
    if (share.mine(tensor++)) order_.emplace_back(&map, layer);
  });
}

void TensorJoiner::put(const ParameterSpec& spec, std::int64_t layer,
                       std::span<const float> values) {
  AUTARKY_CHECK(!complete(), "no more parameters than the model has");
  const auto& [map, its_layer] = order_[next_];
  AUTARKY_CHECK(map->pieces[piece_].parameter == spec.name && its_layer == layer,
                "parameters come in the order of the checkpoint");
  if (map->pieces.size() == 1) return ++next_, sink_(*map, layer, values);
  const Rows rows(*map);
  values_.resize(rows.outer * rows.width);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < piece_; ++i) begin += rows.run(map->pieces[i]);
  const std::size_t run = rows.run(map->pieces[piece_]);
  for (std::size_t row = 0; row < rows.outer; ++row)
    std::copy_n(values.data() + row * run, run, values_.data() + row * rows.width + begin);
  if (++piece_ < map->pieces.size()) return;
  piece_ = 0;
  ++next_;
  sink_(*map, layer, values_);
}

WeightsWriter::WeightsWriter(const fs::path& folder, const ModelConfig& config, DType dtype,
                             std::int64_t most_bytes, const WritingShare& share)
    : dtype_(dtype),
      writer_(folder, "model", stored_tensors(config, dtype), most_bytes, share),
      joiner_(
          config,
          [this](const TensorMap& map, std::int64_t layer, std::span<const float> values) {
            write_tensor(map, layer, values);
          },
          share) {
  if (share.rank == 0) files_.push_back(save_config(folder, config, dtype));
}

void WeightsWriter::put(const ParameterSpec& spec, std::int64_t layer,
                        std::span<const float> values) {
  joiner_.put(spec, layer, values);
}

// In parts, so that the converted tensor is never in memory as a whole.
void WeightsWriter::write_tensor(const TensorMap& map, std::int64_t layer,
                                 std::span<const float> values) {
  constexpr std::size_t kPart = 65536;  // values
  std::vector<std::byte> part;
  while (!values.empty()) {
    const std::size_t n = std::min(values.size(), kPart);
    part.resize(n * std::size_t(byte_size(dtype_)));
    encode(dtype_, values.first(n), part.data());
    writer_.write(layer_name(map.hf_name, layer), part);
    values = values.subspan(n);
  }
}

std::vector<WrittenFile> WeightsWriter::finish() {
  AUTARKY_CHECK(joiner_.complete(), "all parameters are written before finish()");
  for (auto& file : writer_.finish()) files_.push_back(std::move(file));
  return std::move(files_);
}

std::vector<WrittenFile> save_weights(const fs::path& folder, const ModelConfig& config,
                                      DType dtype, const WeightSource& source,
                                      std::int64_t most_bytes, const WritingShare& share) {
  WeightsWriter writer(folder, config, dtype, most_bytes, share);
  const auto specs = specs_by_name(config);
  std::vector<float> values;
  std::size_t tensor = 0;
  for_each_tensor(tensor_maps(config), config.layers,
                  [&](const TensorMap& map, std::int64_t layer) {
                    if (!share.mine(tensor++)) return;
                    for (const auto& piece : map.pieces) {
                      const ParameterSpec& spec = specs.at(piece.parameter);
                      values.resize(std::size_t(spec.count()));
                      source(spec, layer, values);
                      writer.put(spec, layer, values);
                    }
                  });
  return writer.finish();
}

}  // namespace autarky
