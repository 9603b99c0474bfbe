// The wire format of Protocol Buffers (protobuf.dev, "Encoding"): fields of a message, read and
// written. Without a library: libsentencepiece brings an old protobuf of its own, and a second one
// in the same process crashes (docs/decisions/0005).
#pragma once
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace autarky {

struct ProtobufField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;  // of varints, and the bits of 32-bit fields; else 0
  std::string_view bytes;   // of length-delimited fields, else empty
};

// Fields of a message in order; `broken` where it ends early.
class ProtobufFields {
 public:
  explicit ProtobufFields(std::string_view message) : rest_(message) {}
  bool broken = false;

  std::optional<ProtobufField> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t key = varint();
    ProtobufField field{std::uint32_t(key >> 3), 0, {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.value = fixed32();
        break;
      default:
        broken = true;
    }
    if (broken) return std::nullopt;
    return field;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    broken = true;
    return 0;
  }
  std::uint32_t fixed32() {
    std::uint32_t value = 0;  // little-endian
    const std::string_view bytes = take(4);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value |= std::uint32_t(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return value;
  }
  std::string_view take(std::uint64_t n) {
    broken |= n > rest_.size();
    if (broken) return {};
    const std::string_view bytes = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return bytes;
  }

  std::string_view rest_;
};

// A message, field by field.
class ProtobufMessage {
 public:
  ProtobufMessage& add(std::uint32_t number, std::int64_t value) {
    varint(std::uint64_t(number) << 3 | 0);
    varint(std::uint64_t(value));
    return *this;
  }
  ProtobufMessage& add(std::uint32_t number, double value) { return fixed(number << 3 | 1, value); }
  ProtobufMessage& add(std::uint32_t number, float value) { return fixed(number << 3 | 5, value); }
  ProtobufMessage& add(std::uint32_t number, std::string_view bytes) {
    varint(std::uint64_t(number) << 3 | 2);
    varint(bytes.size());
    bytes_ += bytes;
    return *this;
  }
  ProtobufMessage& add(std::uint32_t number, const ProtobufMessage& message) {
    return add(number, std::string_view(message.bytes_));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  template <typename T>
  ProtobufMessage& fixed(std::uint32_t key, T value) {
    varint(key);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);  // little-endian
    return *this;
  }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += char(0x80 | (value & 0x7F));
    bytes_ += char(value);
  }

  std::string bytes_;
};

}  // namespace autarky
