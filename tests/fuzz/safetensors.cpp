// A safetensors file: opened, every tensor of a floating type read.
#include <algorithm>

#include "formats/safetensors.h"
#include "formats/weights.h"
#include "fuzz/fuzz.h"

using namespace autarky;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

// Most mutations break the header's length, and so would not get beyond it: it is mended in three
// of four.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 4 == 0 || size < 8) return size;
  const std::string_view text = as_text(data, size).substr(8);
  const auto brace = text.rfind('}');
  const std::uint64_t length = brace == text.npos ? text.size() : brace + 1;
  for (int i = 0; i < 8; ++i) data[i] = std::uint8_t(length >> (8 * i));
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fs::path path = fuzz_folder().write("model.safetensors", as_text(data, size));
  accepted([&] {
    const SafetensorsReader reader(path);
    std::vector<float> values;
    for (const auto& [name, tensor] : reader.tensors()) {
      AUTARKY_CHECK(&reader.tensor(name) == &tensor, "a tensor is found by its name");
      if (!is_floating(tensor.dtype)) continue;
      values.resize(tensor.bytes.size() / std::size_t(byte_size(tensor.dtype)));
      read_floats(tensor, values);
    }
    accepted([&] { reader.tensor("model.embed_tokens.weight"); });
  });
  return 0;
}
