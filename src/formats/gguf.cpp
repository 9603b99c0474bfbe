#include "formats/gguf.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/words.h"
#include "formats/tensor_lookup.h"

namespace autarky {
namespace {

// No file that anybody uses comes near these; they bound the time that a hostile one costs.
constexpr std::uint64_t kMostKeys = 4096, kMostTensors = 100'000, kMostName = 255,
                        kMostAlignment = 1 << 20;
constexpr std::uint32_t kMostDims = 4;  // the format's own limit
constexpr int kMostNesting = 4;

// Bytes of a value; 0 for strings and arrays.
std::uint64_t fixed_size(GgufKind kind) {
  constexpr std::uint64_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kSizes[std::size_t(kind)];
}

// The shortest decimal number that rounds to x.
double shortest(float x) {
  return std::isfinite(x) ? std::strtod(fmt::format("{}", x).c_str(), nullptr) : double(x);
}

// Takes values off the front of the file; never beyond its end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view where) : bytes_(bytes), where_(where) {}

  std::size_t position() const { return position_; }
  std::size_t left() const { return bytes_.size() - position_; }

  std::span<const std::byte> take(std::uint64_t count) {
    if (count > left())
      throw InputError("the GGUF file is truncated, or damaged")
          .at(where_)
          .found(fmt::format("{} bytes after byte {}", left(), position_))
          .wanted(fmt::format("{}", count));
    const auto taken = bytes_.subspan(position_, std::size_t(count));
    position_ += std::size_t(count);
    return taken;
  }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view string() {
    const auto text = take(number<std::uint64_t>());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  // A name of a key or a tensor.
  std::string name(std::string_view what) {
    const std::string_view text = string();
    if (text.empty() || text.size() > kMostName)
      throw InputError(fmt::format("the name of a {} has a length that cannot be", what))
          .at(where_)
          .found(fmt::format("{} bytes", text.size()))
          .wanted(fmt::format("1 to {}", kMostName));
    return std::string(text);
  }
  std::uint64_t count(std::string_view what, std::uint64_t most) {
    const auto value = number<std::uint64_t>();
    if (value > most)
      throw InputError(fmt::format("the GGUF file says it has more {} than can be", what))
          .at(where_)
          .found(fmt::format("{}", value))
          .wanted(fmt::format("at most {}", most));
    return value;
  }
  GgufKind kind(std::string_view key) {
    const auto code = number<std::uint32_t>();
    if (code > std::uint32_t(GgufKind::f64))
      throw InputError(fmt::format("key '{}' has a value of an unknown kind", key))
          .at(where_)
          .found(std::to_string(code))
          .wanted("0 to 12");
    return GgufKind(code);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view where_;
  std::size_t position_ = 0;
};

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// A number of `kind` at `from`.
Json number_at(GgufKind kind, const std::byte* from) {
  switch (kind) {
    case GgufKind::u8:
      return std::uint64_t(load<std::uint8_t>(from));
    case GgufKind::i8:
      return std::int64_t(load<std::int8_t>(from));
    case GgufKind::u16:
      return std::uint64_t(load<std::uint16_t>(from));
    case GgufKind::i16:
      return std::int64_t(load<std::int16_t>(from));
    case GgufKind::u32:
      return std::uint64_t(load<std::uint32_t>(from));
    case GgufKind::i32:
      return std::int64_t(load<std::int32_t>(from));
    case GgufKind::f32:
      return shortest(load<float>(from));
    case GgufKind::boolean:
      return load<std::uint8_t>(from) != 0;
    case GgufKind::u64:
      return load<std::uint64_t>(from);
    case GgufKind::i64:
      return load<std::int64_t>(from);
    default:
      return load<double>(from);
  }
}

class Parser {
 public:
  Parser(const MappedFile& file, std::string where)
      : file_(file), where_(std::move(where)), cursor_(file.bytes(), where_) {}

  void header() {
    if (file_.bytes().size() < 24 || !file_.text().starts_with("GGUF"))
      throw InputError("this is no GGUF file").at(where_).wanted("'GGUF' at its beginning");
    cursor_.take(4);
    const auto version = cursor_.number<std::uint32_t>();
    if (version != 2 && version != 3) throw wrong_version(version);
    tensors_ = cursor_.count("tensors", std::min(kMostTensors, cursor_.left() / 24));
    keys_ = cursor_.count("keys", std::min(kMostKeys, cursor_.left() / 13));
  }

  void metadata(Json& scalars, std::map<std::string, GgufArray>& arrays) {
    scalars = Json::object();
    for (std::uint64_t i = 0; i < keys_; ++i) {
      const std::string key = cursor_.name("key");
      if (scalars.contains(key) || arrays.contains(key))
        throw InputError(fmt::format("key '{}' is there twice", key)).at(where_);
      const GgufKind kind = cursor_.kind(key);
      if (kind == GgufKind::array) arrays.emplace(key, array(key, 1));
      else if (kind == GgufKind::string) scalars[key] = cursor_.string();
      else scalars[key] = number_at(kind, cursor_.take(fixed_size(kind)).data());
    }
    read_alignment(scalars);
  }

  void tensors(std::map<std::string, GgufTensor>& tensors) {
    std::vector<Place> places;
    for (std::uint64_t i = 0; i < tensors_; ++i) {
      const std::string name = cursor_.name("tensor");
      const auto [entry, added] = tensors.emplace(name, GgufTensor{});
      if (!added) throw InputError(fmt::format("tensor '{}' is there twice", name)).at(where_);
      places.push_back(tensor_entry(entry->first, entry->second));
    }
    place(std::move(places));
  }

 private:
  struct Place {
    const std::string* name;
    GgufTensor* tensor;
    std::uint64_t offset, bytes;
  };

  InputError wrong_version(std::uint32_t version) const {
    InputError error("this version of GGUF is not supported");
    error.at(where_).found(std::to_string(version)).wanted("2 or 3");
    if ((version & 0xffff) == 0) error.hint("the file may be of a big-endian machine");
    return error;
  }

  InputError bad(const std::string& name, std::string_view what) const {
    InputError error(fmt::format("tensor '{}' has {}", name, what));
    error.at(where_);
    return error;
  }

  GgufArray array(const std::string& key, int depth) {
    if (depth > kMostNesting)
      throw InputError(fmt::format("key '{}' holds arrays nested too deep", key)).at(where_);
    GgufArray a;
    a.kind = cursor_.kind(key);
    a.count = cursor_.number<std::uint64_t>();
    const std::size_t begin = cursor_.position();
    // A string takes 8 bytes or more, an array 12: so the loops below end within the file.
    const std::uint64_t least = fixed_size(a.kind) ? fixed_size(a.kind) : 8;
    if (a.count > cursor_.left() / least)
      throw InputError(fmt::format("key '{}' holds an array that is longer than the file", key))
          .at(where_)
          .found(fmt::format("{} elements", a.count))
          .wanted(fmt::format("at most {}", cursor_.left() / least));
    if (fixed_size(a.kind)) cursor_.take(a.count * fixed_size(a.kind));
    for (std::uint64_t i = 0; i < a.count && a.kind == GgufKind::string; ++i) cursor_.string();
    for (std::uint64_t i = 0; i < a.count && a.kind == GgufKind::array; ++i) array(key, depth + 1);
    a.bytes = file_.bytes().subspan(begin, cursor_.position() - begin);
    return a;
  }

  void read_alignment(const Json& scalars) {
    const auto it = scalars.find("general.alignment");
    if (it == scalars.end()) return;
    const bool fits = it->is_number_unsigned() && it->get<std::uint64_t>() <= kMostAlignment &&
                      std::has_single_bit(it->get<std::uint64_t>());
    if (!fits)
      throw InputError("key 'general.alignment' has a value that cannot be used")
          .at(where_)
          .found(it->is_number() ? it->dump() : "no number")
          .wanted(fmt::format("a power of two up to {}", kMostAlignment));
    alignment_ = it->get<std::uint64_t>();
  }

  Place tensor_entry(const std::string& name, GgufTensor& t) {
    const auto dims = cursor_.number<std::uint32_t>();
    if (dims < 1 || dims > kMostDims)
      throw bad(name, "a number of dims that cannot be")
          .found(std::to_string(dims))
          .wanted(fmt::format("1 to {}", kMostDims));
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < dims; ++i) {
      const auto extent = cursor_.number<std::uint64_t>();
      const bool fits = extent > 0 && extent <= std::uint64_t(INT64_MAX) / elements;
      if (!fits)
        throw bad(name, "a shape that cannot be")
            .found(fmt::format("extent {}", extent))
            .wanted("from 1, and a size that does not overflow");
      elements *= extent;
      t.shape.insert(t.shape.begin(), std::int64_t(extent));
    }
    const std::uint64_t bytes = read_type(name, t, elements);
    return {&name, &t, cursor_.number<std::uint64_t>(), bytes};
  }

  // Bytes of the tensor.
  std::uint64_t read_type(const std::string& name, GgufTensor& t, std::uint64_t elements) {
    const auto code = cursor_.number<std::uint32_t>();
    const GgufTypeInfo* info = find_gguf_type(code);
    if (!info)
      throw bad(name, "a type that is not supported")
          .found(gguf_type_name(code))
          .wanted("F32, F16, BF16, Q8_0, Q4_0 or Q4_1")
          .hint("Take a file with one of these types");
    if (t.shape.back() % info->values != 0)
      throw bad(name, "rows that are no whole blocks")
          .found(fmt::format("{} values", t.shape.back()))
          .wanted(fmt::format("a multiple of {}", info->values));
    t.type = info->type;
    const std::uint64_t blocks = elements / std::uint64_t(info->values);
    if (blocks > file_.bytes().size())  // so the product cannot overflow
      throw bad(name, "a shape that is larger than the file")
          .found(fmt::format("{} elements", elements));
    return blocks * std::uint64_t(info->bytes);
  }

  // Where the data begins; tensors lie in it without overlap and without more than padding between.
  void place(std::vector<Place> places) {
    const std::uint64_t begin = padded(cursor_.position());
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return a.offset < b.offset; });
    const std::uint64_t size = file_.bytes().size();
    const std::uint64_t data = size > begin ? size - begin : 0;
    std::uint64_t end = 0;
    for (const Place& p : places) {
      if (p.offset > data || p.bytes > data - p.offset)
        throw bad(*p.name, "data outside the file")
            .found(fmt::format("{} bytes at offset {}", p.bytes, p.offset))
            .wanted(fmt::format("within {} bytes of data", data))
            .hint("the file may be truncated");
      if (p.offset != padded(end))
        throw bad(*p.name, p.offset < end ? "data that overlaps another's" : "data out of place")
            .found(fmt::format("offset {}", p.offset))
            .wanted(fmt::format("{}", padded(end)));
      p.tensor->bytes = file_.bytes().subspan(begin + p.offset, p.bytes);
      end = p.offset + p.bytes;
    }
    if (data > padded(end))
      throw InputError("the file is longer than its tensors")
          .at(where_)
          .found(fmt::format("{} bytes of data", data))
          .wanted(fmt::format("{}", padded(end)));
  }

  std::uint64_t padded(std::uint64_t bytes) const {
    return (bytes + alignment_ - 1) / alignment_ * alignment_;
  }

  const MappedFile& file_;
  std::string where_;
  Cursor cursor_;
  std::uint64_t tensors_ = 0, keys_ = 0, alignment_ = 32;
};

bool is_integer(GgufKind kind) {
  return kind != GgufKind::f32 && kind != GgufKind::f64 && kind != GgufKind::boolean &&
         kind != GgufKind::string && kind != GgufKind::array;
}

}  // namespace

std::int64_t GgufTensor::elements() const {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

GgufReader::GgufReader(const fs::path& path)
    : path_(path), file_(path), metadata_(std::make_unique<Json>()) {
  Parser parser(file_, path.string());
  parser.header();
  parser.metadata(*metadata_, arrays_);
  parser.tensors(tensors_);
}
GgufReader::~GgufReader() = default;

const GgufTensor& GgufReader::tensor(const std::string& name) const {
  return find_tensor(tensors_, name, path_);
}

const GgufArray* GgufReader::find(const std::string& key, bool (*fits)(GgufKind),
                                  std::string_view wanted) const {
  const auto it = arrays_.find(key);
  if (it != arrays_.end() && fits(it->second.kind)) return &it->second;
  if (it == arrays_.end() && !metadata_->contains(key)) return nullptr;
  throw InputError(fmt::format("key '{}' has a value that cannot be used", key))
      .at(path_.string())
      .wanted(wanted);
}

std::vector<std::string_view> GgufReader::strings(const std::string& key) const {
  std::vector<std::string_view> list;
  const auto* a = find(
      key, [](GgufKind k) { return k == GgufKind::string; }, "an array of strings");
  if (!a) return list;
  list.reserve(std::size_t(a->count));
  Cursor cursor(a->bytes, "");
  for (std::uint64_t i = 0; i < a->count; ++i) list.push_back(cursor.string());
  return list;
}

std::vector<std::int64_t> GgufReader::integers(const std::string& key) const {
  std::vector<std::int64_t> list;
  const auto* a = find(key, is_integer, "an array of whole numbers");
  for (std::uint64_t i = 0; a && i < a->count; ++i)
    list.push_back(
        number_at(a->kind, a->bytes.data() + i * fixed_size(a->kind)).get<std::int64_t>());
  return list;
}

std::vector<double> GgufReader::numbers(const std::string& key) const {
  std::vector<double> list;
  const auto* a = find(
      key, [](GgufKind k) { return is_integer(k) || k == GgufKind::f32 || k == GgufKind::f64; },
      "an array of numbers");
  for (std::uint64_t i = 0; a && i < a->count; ++i)
    list.push_back(number_at(a->kind, a->bytes.data() + i * fixed_size(a->kind)).get<double>());
  return list;
}

}  // namespace autarky
