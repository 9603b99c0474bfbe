#include "formats/gguf_writer.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "formats/gguf.h"

namespace autarky {
namespace {

constexpr std::int64_t kAlignment = 32;  // the format's default: needs no key

std::int64_t padding(std::int64_t bytes) { return (kAlignment - bytes % kAlignment) % kAlignment; }

// The head of the file: counts, metadata, tensors.
class Header {
 public:
  Header(const GgufMetadata& metadata, const std::vector<GgufSpec>& tensors) {
    text_ = "GGUF";
    number(std::uint32_t(3));
    number(std::uint64_t(tensors.size()));
    number(std::uint64_t(metadata.size()));
    std::set<std::string_view> seen;
    for (const auto& [key, value] : metadata) {
      AUTARKY_CHECK(seen.insert(key).second, "each key is written once");
      string(key);
      std::visit([&](const auto& v) { tagged(v); }, value);
    }
    std::int64_t offset = 0;
    for (const auto& t : tensors) {
      tensor(t, offset);
      offset += t.bytes() + padding(t.bytes());
    }
    text_.resize(text_.size() + std::size_t(padding(std::int64_t(text_.size()))), '\0');
  }

  const std::string& text() const { return text_; }

 private:
  template <typename T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void string(std::string_view text) {
    number(std::uint64_t(text.size()));
    text_ += text;
  }
  void kind(GgufKind k) { number(std::uint32_t(k)); }

  void put(std::uint32_t v) { number(v); }
  void put(std::int32_t v) { number(v); }
  void put(float v) { number(v); }
  void put(bool v) { number(std::uint8_t(v)); }
  void put(const std::string& v) { string(v); }

  static GgufKind kind_of(std::uint32_t) { return GgufKind::u32; }
  static GgufKind kind_of(std::int32_t) { return GgufKind::i32; }
  static GgufKind kind_of(float) { return GgufKind::f32; }
  static GgufKind kind_of(bool) { return GgufKind::boolean; }
  static GgufKind kind_of(const std::string&) { return GgufKind::string; }

  template <typename T>
  void tagged(const T& value) {
    kind(kind_of(value));
    put(value);
  }
  template <typename T>
  void tagged(const std::vector<T>& list) {
    kind(GgufKind::array);
    kind(kind_of(T{}));
    number(std::uint64_t(list.size()));
    for (const auto& value : list) put(value);
  }

  void tensor(const GgufSpec& t, std::int64_t offset) {
    string(t.name);
    number(std::uint32_t(t.shape.size()));
    for (auto extent = t.shape.rbegin(); extent != t.shape.rend(); ++extent)
      number(std::uint64_t(*extent));
    number(std::uint32_t(t.type));
    number(std::uint64_t(offset));
  }

  std::string text_;
};

}  // namespace

std::int64_t GgufSpec::elements() const {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

std::int64_t GgufSpec::bytes() const {
  const auto& info = gguf_type_info(type);
  AUTARKY_CHECK(!shape.empty() && shape.back() % info.values == 0, "rows are whole blocks");
  return elements() / info.values * info.bytes;
}

GgufWriter::GgufWriter(const fs::path& path, const GgufMetadata& metadata,
                       std::vector<GgufSpec> tensors)
    : file_(path), tensors_(std::move(tensors)) {
  const Header header(metadata, tensors_);
  file_.put(std::as_bytes(std::span(header.text())));
}

void GgufWriter::write(std::string_view name, std::span<const float> values) {
  AUTARKY_CHECK(current_ < tensors_.size() && tensors_[current_].name == name,
                "tensors come in the given order");
  const GgufSpec& t = tensors_[current_];
  const auto& info = gguf_type_info(t.type);
  // In parts, so that the encoded tensor is never in memory as a whole.
  constexpr std::size_t kPart = 65536;
  std::vector<std::byte> part;
  written_ += std::int64_t(values.size());
  AUTARKY_CHECK(written_ <= t.elements(), "a tensor has the values of its shape");
  while (!values.empty()) {
    const auto n = std::min(values.size(), kPart);
    part.resize(n / std::size_t(info.values) * std::size_t(info.bytes));
    encode_blocks(t.type, values.first(n), part, fmt::format("tensor '{}'", name));
    file_.put(part);
    values = values.subspan(n);
  }
  if (written_ < t.elements()) return;
  pad(t.bytes());
  written_ = 0;
  ++current_;
}

void GgufWriter::pad(std::int64_t bytes) {
  file_.put(std::vector<std::byte>(std::size_t(padding(bytes))));
}

void GgufWriter::finish() {
  AUTARKY_CHECK(current_ == tensors_.size(), "all tensors are written before finish()");
  file_.finish();
}

}  // namespace autarky
