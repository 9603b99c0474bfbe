// Reading safetensors: one file, or a set of shards with an index.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"

namespace autarky {

// Names in the format: "F32", "BF16", ...; parse gives InputError for those we do not store.
std::string safetensors_dtype_name(DType dtype);
DType parse_safetensors_dtype(std::string_view name, std::string_view where);

struct SafetensorsTensor {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // little-endian, row-major; may be unaligned: copy, never cast
};

// File: u64 header length, JSON header {name: {dtype, shape, data_offsets [begin, end)}}, data.
// Everything is checked when opened: length of header and file, dtypes, sizes against shapes, that
// the tensors fill the data without gap or overlap, names given twice. Errors are InputErrors.
class SafetensorsReader {
 public:
  // A .safetensors file; an index (model.safetensors.index.json); or a folder with either.
  explicit SafetensorsReader(const fs::path& path);

  const std::map<std::string, SafetensorsTensor>& tensors() const { return tensors_; }
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  // InputError, with the nearest name, if it is not there.
  const SafetensorsTensor& tensor(const std::string& name) const;
  // For messages.
  const fs::path& path() const { return path_; }

 private:
  void open_file(const fs::path& path);
  void open_index(const fs::path& path);

  fs::path path_;
  std::vector<MappedFile> files_;
  std::map<std::string, SafetensorsTensor> tensors_;
};

}  // namespace autarky
