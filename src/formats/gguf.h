// Reading GGUF, version 2 and 3, little-endian. All numbers are packed:
//   4 bytes "GGUF", u32 version, u64 number of tensors, u64 number of keys
//   a key: string name, u32 kind, value        a string: u64 length, bytes
//   an array: u32 kind of its elements, u64 count, elements
//   a tensor: string name, u32 number of dims, u64 extents (fastest first), u32 type, u64 offset
//   padding to general.alignment (32 if not given), then the data; offsets count from here
// Source: docs/gguf.md of the ggml project.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "formats/gguf_blocks.h"

namespace autarky {

enum class GgufKind : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

struct GgufTensor {
  GgufType type = GgufType::f32;
  std::vector<std::int64_t> shape;   // row-major, slowest dim first: the file's order reversed
  std::span<const std::byte> bytes;  // blocks along the last dim; may be unaligned

  std::int64_t elements() const;
};

// Elements of an array, in the file.
struct GgufArray {
  GgufKind kind = GgufKind::u8;
  std::uint64_t count = 0;
  std::span<const std::byte> bytes;
};

// The file is mapped; everything is checked when it is opened: version, every count, length and
// offset against the file's size, names given twice, types, alignment, that tensors do not overlap
// and that the file ends with them. Errors are InputErrors. Memory is bounded by the file's size.
class GgufReader {
 public:
  explicit GgufReader(const fs::path& path);
  ~GgufReader();

  // Keys whose value is no array, as one object in the file's order. An f32 is the shortest decimal
  // number that rounds to it: 1e-05, not 9.99999975e-06.
  const Json& metadata() const { return *metadata_; }
  const std::map<std::string, GgufArray>& arrays() const { return arrays_; }
  const std::map<std::string, GgufTensor>& tensors() const { return tensors_; }
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  // InputError, with the nearest name, if it is not there.
  const GgufTensor& tensor(const std::string& name) const;

  // An array's elements; none where the key is not there. InputError for another kind.
  std::vector<std::string_view> strings(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;

  const fs::path& path() const { return path_; }  // for messages

 private:
  const GgufArray* find(const std::string& key, bool (*fits)(GgufKind),
                        std::string_view wanted) const;

  fs::path path_;
  MappedFile file_;
  std::unique_ptr<Json> metadata_;
  std::map<std::string, GgufArray> arrays_;
  std::map<std::string, GgufTensor> tensors_;
};

}  // namespace autarky
