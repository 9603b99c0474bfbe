// Writing GGUF version 3, one tensor at a time: never more than one in memory. The layout of the
// file says formats/gguf.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "formats/gguf_blocks.h"

namespace autarky {

using GgufValue =
    std::variant<std::uint32_t, std::int32_t, float, bool, std::string, std::vector<std::string>,
                 std::vector<std::int32_t>, std::vector<float>>;
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;  // keys differ

struct GgufSpec {
  std::string name;
  GgufType type = GgufType::f32;
  std::vector<std::int64_t> shape;  // row-major; the last dim holds whole blocks

  std::int64_t elements() const;
  std::int64_t bytes() const;
};

// As SafetensorsWriter: a temporary name until finish(); without it no file is left.
class GgufWriter {
 public:
  GgufWriter(const fs::path& path, const GgufMetadata& metadata, std::vector<GgufSpec> tensors);

  // The next values of tensor `name`, whole rows of it; stored in its type. InputError for values
  // that the type cannot hold (encode_blocks).
  void write(std::string_view name, std::span<const float> values);
  void finish();

 private:
  void pad(std::int64_t bytes);

  AtomicFile file_;
  std::vector<GgufSpec> tensors_;
  std::size_t current_ = 0;   // tensor that is being written
  std::int64_t written_ = 0;  // values of it
};

}  // namespace autarky
