// Loading and writing hold one tensor at a time, however many a file has.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/process.h"
#include "formats/gguf_config.h"
#include "formats/gguf_weights.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

// 50 MB in f32; the largest tensor has 4 MB.
ModelConfig many_tensors() {
  ModelConfig c;
  c.layers = 16;
  c.hidden = 256;
  c.heads = c.kv_heads = 4;
  c.head_dim = 64;
  c.ffn = 512;
  c.vocab = 4096;
  c.max_positions = 16;
  return c;
}
constexpr std::int64_t kLargest = 4096 * 256 * 4;
constexpr std::int64_t kSlack = 3'000'000;  // parts that are converted, the allocator's own

// Most memory seen at any call, beyond what there was at the start.
class Watch {
 public:
  void look() { most_ = std::max(most_, resident_bytes()); }
  std::int64_t growth() const { return most_ - start_; }

 private:
  std::int64_t start_ = resident_bytes(), most_ = start_;
};

// Copies a model; `load` gives it, `writer` takes it.
template <typename Load, typename Writer>
std::int64_t growth_of_copy(const Load& load, Writer& writer) {
  Watch watch;
  load([&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
    watch.look();
    writer.put(spec, layer, values);
    watch.look();
  });
  writer.finish();
  watch.look();
  return watch.growth();
}

TEST(WeightsMemory, OneTensorAtATimeFromShardsToGgufAndBack) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps freed memory, so its growth says nothing";
#endif
  const ScratchFolder folder;
  const ModelConfig config = many_tensors();
  fs::create_directories(folder / "f16");
  fs::create_directories(folder / "f32");
  save_weights(
      folder / "f16", config, DType::f16,
      [](const ParameterSpec&, std::int64_t layer, std::span<float> values) {
        std::fill(values.begin(), values.end(), float(layer) / 64);
      },
      10'000'000);
  const SafetensorsReader shards(folder / "f16");
  EXPECT_GE(shards.tensors().size(), 16u * 9);
  EXPECT_TRUE(fs::exists(folder / "f16/model-00003-of-00003.safetensors"));
  {
    GgufWeightsWriter writer(folder / "x.gguf", config, {}, GgufType::q8_0);
    const auto growth =
        growth_of_copy([&](const WeightSink& sink) { load_weights(shards, config, sink); }, writer);
    EXPECT_LE(growth, kLargest + kSlack);
  }
  const GgufReader gguf(folder / "x.gguf");
  WeightsWriter writer(folder / "f32", config, DType::f32, 10'000'000);
  const auto growth = growth_of_copy(
      [&](const WeightSink& sink) { load_gguf_weights(gguf, config, sink); }, writer);
  EXPECT_LE(growth, kLargest + kSlack);
  EXPECT_EQ(SafetensorsReader(folder / "f32").tensors().size(), shards.tensors().size());
}

}  // namespace
}  // namespace autarky
