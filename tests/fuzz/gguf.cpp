// A GGUF file: opened, every array and tensor read, and the model and the tokenizer that it holds.
#include "formats/gguf.h"

#include <nlohmann/json.hpp>

#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"
#include "formats/model_files.h"
#include "fuzz/fuzz.h"
#include "fuzz/use_tokenizer.h"

using namespace autarky;

namespace {

void read_all(const GgufReader& reader) {
  for (const auto& entry : reader.arrays()) {
    const std::string& key = entry.first;
    accepted([&] { reader.strings(key); });
    accepted([&] { reader.integers(key); });
    accepted([&] { reader.numbers(key); });
  }
  std::vector<float> values;
  for (const auto& [name, tensor] : reader.tensors()) {
    values.resize(std::size_t(tensor.elements()));
    decode_blocks(tensor.type, tensor.bytes, values);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fs::path path = fuzz_folder().write("model.gguf", as_text(data, size));
  if (!accepted([&] { read_all(GgufReader(path)); })) return 0;
  accepted([&] { use_tokenizer(load_tokenizer(path), "a text: \xe4\xb8\xad  12\n"); });
  accepted([&] {
    const ModelFiles model(path);
    gguf_model_metadata(model.config());
    gguf_rope_divisors(model.config());
    model.load([](const ParameterSpec&, std::int64_t, std::span<const float>) {});
  });
  return 0;
}
