#include "formats/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/words.h"
#include "formats/tensor_lookup.h"

namespace autarky {
namespace {

constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // the format's own limit
constexpr int kMostDims = 8;

struct DTypeName {
  DType dtype;
  std::string_view name;
};
// A type's first name is the one that is written; BOOL, a byte each, is read as numbers.
constexpr DTypeName kNames[] = {{DType::f64, "F64"}, {DType::f32, "F32"}, {DType::bf16, "BF16"},
                                {DType::f16, "F16"}, {DType::i64, "I64"}, {DType::i32, "I32"},
                                {DType::u16, "U16"}, {DType::u8, "U8"},   {DType::u8, "BOOL"}};

using Where = std::string_view;

std::uint64_t little_endian_u64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

// The header's text, its length checked against the file.
std::string_view header_text(const MappedFile& file, Where where) {
  const std::uint64_t size = file.bytes().size();
  if (size < 8)
    throw InputError("the safetensors file is too short for its header")
        .at(where)
        .found(fmt::format("{} bytes", size))
        .wanted("8 or more");
  const std::uint64_t length = little_endian_u64(file.bytes().first(8));
  if (length > kMostHeaderBytes)
    throw InputError("the header is too long for a safetensors file")
        .at(where)
        .found(fmt::format("{} bytes", length))
        .wanted(fmt::format("at most {}", kMostHeaderBytes))
        .hint("is this a safetensors file?");
  if (length > size - 8)
    throw InputError("the safetensors file is truncated")
        .at(where)
        .found(fmt::format("{} bytes", size))
        .wanted(fmt::format("{} for the header alone", length + 8));
  return file.text().substr(8, length);
}

InputError bad_entry(const std::string& name, std::string_view what, Where where) {
  InputError error(fmt::format("tensor '{}' has {}", name, what));
  error.at(where);
  return error;
}

// A whole number from 0 that fits in 63 bits.
bool is_count(const nlohmann::json& value) {
  return value.is_number_unsigned() && value.get<std::uint64_t>() <= std::uint64_t(INT64_MAX);
}

// Bytes that the shape asks for; an error where they do not fit in 63 bits.
std::int64_t wanted_bytes(const std::string& name, const SafetensorsTensor& t, Where where) {
  std::int64_t bytes = byte_size(t.dtype);
  for (const std::int64_t extent : t.shape)
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      throw bad_entry(name, "a shape whose size overflows", where);
  return bytes;
}

SafetensorsTensor parse_entry(const std::string& name, const nlohmann::json& entry,
                              std::span<const std::byte> data, Where where) {
  const auto list = [&](const char* key, std::size_t most) {
    const auto it = entry.is_object() ? entry.find(key) : entry.end();
    if (!entry.is_object() || it == entry.end() || !it->is_array() || it->size() > most ||
        !std::all_of(it->begin(), it->end(), is_count))
      throw bad_entry(name, fmt::format("no usable '{}'", key), where);
    return it->get<std::vector<std::int64_t>>();
  };
  SafetensorsTensor t;
  t.shape = list("shape", kMostDims);
  const auto offsets = list("data_offsets", 2);
  const auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string()) throw bad_entry(name, "no dtype", where);
  t.dtype = parse_safetensors_dtype(dtype->get<std::string>(), fmt::format("{}: {}", where, name));
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > std::int64_t(data.size()))
    throw bad_entry(name, "data_offsets outside the file", where)
        .found(offsets.size() == 2 ? fmt::format("[{}, {})", offsets[0], offsets[1]) : "other")
        .wanted(fmt::format("within {} bytes of data", data.size()))
        .hint("the file may be truncated");
  const std::int64_t bytes = wanted_bytes(name, t, where);
  if (bytes != offsets[1] - offsets[0])
    throw bad_entry(name, "data_offsets that do not fit its shape", where)
        .found(fmt::format("{} bytes", offsets[1] - offsets[0]))
        .wanted(fmt::format("{} bytes", bytes));
  t.bytes = data.subspan(std::size_t(offsets[0]), std::size_t(bytes));
  return t;
}

// The tensors, by place, fill the data with neither gap nor overlap.
void check_cover(const std::map<std::string, SafetensorsTensor>& tensors,
                 std::span<const std::byte> data, Where where) {
  std::vector<std::pair<const std::string*, std::span<const std::byte>>> parts;
  for (const auto& [name, t] : tensors) parts.emplace_back(&name, t.bytes);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.data(), a.second.size()) <
           std::pair(b.second.data(), b.second.size());
  });
  std::size_t at = 0;
  for (const auto& [name, bytes] : parts) {
    const std::size_t begin = std::size_t(bytes.data() - data.data());
    if (begin != at)
      throw bad_entry(*name, begin < at ? "data that overlaps another's" : "a gap before its data",
                      where)
          .found(fmt::format("offset {}", begin))
          .wanted(fmt::format("{}", at));
    at += bytes.size();
  }
  if (at != data.size())
    throw InputError("the file is longer than its tensors")
        .at(where)
        .found(fmt::format("{} bytes of data", data.size()))
        .wanted(fmt::format("{}", at));
}

std::map<std::string, SafetensorsTensor> parse_file(const MappedFile& file, Where where) {
  const std::string_view text = header_text(file, where);
  const nlohmann::json header = parse_json_unordered(text, where);  // a hostile one has many keys
  if (!header.is_object()) throw InputError("the safetensors header is no JSON object").at(where);
  const auto data = file.bytes().subspan(8 + text.size());
  std::map<std::string, SafetensorsTensor> tensors;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") tensors.emplace(name, parse_entry(name, entry, data, where));
  check_cover(tensors, data, where);
  return tensors;
}

// A shard's name is a plain file name beside the index: a hostile index reaches no other folder.
void check_shard_name(const std::string& name, Where where) {
  if (name.empty() || name.front() == '.' ||
      name.find_first_of(std::string("/\\\0", 3)) != name.npos)
    throw InputError(fmt::format("the index names the file '{}'", name))
        .at(where)
        .wanted("the name of a file in the same folder");
}

}  // namespace

std::string safetensors_dtype_name(DType dtype) {
  for (const auto& n : kNames)
    if (n.dtype == dtype) return std::string(n.name);
  AUTARKY_CHECK(false, "every dtype has a name in the format");
  return {};
}

DType parse_safetensors_dtype(std::string_view name, std::string_view where) {
  for (const auto& n : kNames)
    if (n.name == name) return n.dtype;
  throw InputError(fmt::format("dtype '{}' is not supported", name.substr(0, 32)))
      .at(where)
      .wanted("one of F64, F32, BF16, F16, I64, I32, U16, U8, BOOL");
}

SafetensorsReader::SafetensorsReader(const fs::path& path) : path_(path) {
  std::error_code ignored;
  const fs::path single = path / "model.safetensors", index = path / "model.safetensors.index.json";
  if (!fs::is_directory(path, ignored))
    path.extension() == ".json" ? open_index(path) : open_file(path);
  else if (fs::exists(index, ignored)) open_index(index);
  else if (fs::exists(single, ignored)) open_file(single);
  else
    throw InputError("the folder has no weights")
        .at(path.string())
        .wanted("model.safetensors or model.safetensors.index.json");
}

void SafetensorsReader::open_file(const fs::path& path) {
  files_.emplace_back(path);
  tensors_ = parse_file(files_.back(), path.string());
}

void SafetensorsReader::open_index(const fs::path& path) {
  const std::string where = path.string();
  const nlohmann::json index = read_json_unordered(path);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object())
    throw InputError("the index of the shards has no 'weight_map'").at(where);
  std::map<std::string, std::map<std::string, SafetensorsTensor>> shards;
  for (const auto& [name, shard_json] : map->items()) {
    if (!shard_json.is_string())
      throw InputError(fmt::format("tensor '{}' has no file in the index", name)).at(where);
    const auto shard = shard_json.get<std::string>();
    check_shard_name(shard, where);
    const fs::path file = path.parent_path() / shard;
    if (!shards.contains(shard)) {
      files_.emplace_back(file);
      shards[shard] = parse_file(files_.back(), file.string());
    }
    const auto it = shards[shard].find(name);
    if (it == shards[shard].end())
      throw InputError(fmt::format("tensor '{}' is not in the file that the index names", name))
          .at(file.string());
    tensors_.emplace(name, it->second);
  }
}

const SafetensorsTensor& SafetensorsReader::tensor(const std::string& name) const {
  return find_tensor(tensors_, name, path_);
}

}  // namespace autarky
