// A GGUF file put together by hand, byte by byte: right or wrong.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace autarky {

class GgufBytes {
 public:
  template <typename T>
  GgufBytes& number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBytes& u32(std::uint32_t value) { return number(value); }
  GgufBytes& u64(std::uint64_t value) { return number(value); }
  GgufBytes& string(std::string_view text) {
    u64(text.size());
    text_ += text;
    return *this;
  }
  GgufBytes& head(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    text_ = "GGUF";
    return u32(version).u64(tensors).u64(keys);
  }
  GgufBytes& tensor(std::string_view name, std::uint64_t width, std::uint64_t rows,
                    std::uint32_t type, std::uint64_t offset) {
    return string(name).u32(2).u64(width).u64(rows).u32(type).u64(offset);
  }
  // Padding to a multiple of 32, then `bytes` of data.
  GgufBytes& data(std::size_t bytes) {
    text_.resize((text_.size() + 31) / 32 * 32);
    text_.append(bytes, '\1');
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace autarky
