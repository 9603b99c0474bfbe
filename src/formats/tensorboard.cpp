#include "formats/tensorboard.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <climits>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/protobuf_wire.h"

namespace autarky {
namespace {

static_assert(std::endian::native == std::endian::little, "records are little-endian");

constexpr std::string_view kStart = "events.out.tfevents.", kEnd = ".autarky";
// Field numbers of Event, Summary and Summary.Value in tensorflow's event.proto and summary.proto.
constexpr std::uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;
constexpr std::uint32_t kValue = 1, kTag = 1, kSimpleValue = 2;
constexpr std::size_t kBefore = 12, kAfter = 4;  // bytes of a record around the event

constexpr auto kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
    table[i] = c;
  }
  return table;
}();

std::uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

template <typename T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <typename T>
T load(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

double seconds_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    if (name.starts_with(kStart) && name.ends_with(kEnd)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Now, or the second after the newest file's.
std::int64_t second_of_new_file(const fs::path& folder) {
  auto second = std::int64_t(seconds_now());
  for (const auto& file : event_files(folder)) {
    const auto digits = file.filename().string().substr(kStart.size());
    std::int64_t used = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), used);
    if (used < 10'000'000'000) second = std::max(second, used + 1);
  }
  return second;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  if (::gethostname(name, HOST_NAME_MAX) != 0 || name[0] == '\0') return "host";
  std::string host = name;
  std::replace(host.begin(), host.end(), '/', '_');
  return host;
}

ProtobufMessage event_now() { return ProtobufMessage().add(kWallTime, seconds_now()); }

// Nothing where the bytes are no event.
std::optional<std::int64_t> step_of(std::string_view event) {
  ProtobufFields fields(event);
  std::int64_t step = 0;
  while (const auto field = fields.next())
    if (field->number == kStep) step = std::int64_t(field->value);
  return fields.broken ? std::nullopt : std::optional(step);
}

// The bytes at the front of an event file that are whole records up to a step.
std::size_t length_until(std::string_view file, std::int64_t last_step) {
  std::size_t length = 0;
  while (file.size() - length >= kBefore + kAfter) {
    const auto record = file.substr(length);
    const auto size = load<std::uint64_t>(record, 0);
    if (load<std::uint32_t>(record, 8) != masked_crc(record.substr(0, 8))) break;
    if (size > record.size() - kBefore - kAfter || size > INT_MAX) break;
    const auto data = record.substr(kBefore, size);
    if (load<std::uint32_t>(record, kBefore + size) != masked_crc(data)) break;
    const auto step = step_of(data);
    if (!step || *step > last_step) break;
    length += kBefore + size + kAfter;
  }
  return length;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t c = ~0u;
  for (const char byte : bytes)
    c = kCrcTable[(c ^ static_cast<unsigned char>(byte)) & 0xff] ^ c >> 8;
  return ~c;
}

EventWriter::EventWriter(const fs::path& folder)
    : path_(folder /
            fmt::format("{}{:010}.{}{}", kStart, second_of_new_file(folder), host_name(), kEnd)),
      out_(path_, std::ios::binary | std::ios::trunc) {
  if (!out_) throw InputError(fmt::format("cannot write '{}'", path_.string()));
  append(event_now().add(kFileVersion, "brain.Event:2").bytes());
}

void EventWriter::write(std::int64_t step, std::span<const Scalar> scalars) {
  ProtobufMessage summary;
  for (const auto& scalar : scalars)
    summary.add(kValue,
                ProtobufMessage().add(kTag, scalar.tag).add(kSimpleValue, float(scalar.value)));
  append(event_now().add(kStep, step).add(kSummary, summary).bytes());
}

void EventWriter::append(std::string_view event) {
  const std::uint64_t size = event.size();
  std::string record(bytes_of(size));
  record += bytes_of(masked_crc(bytes_of(size)));
  record += event;
  record += bytes_of(masked_crc(event));
  out_.write(record.data(), std::streamsize(record.size())).flush();
  if (!out_)
    throw Error(fmt::format("cannot write '{}'", path_.string())).hint("Is the disk full?");
}

void cut_events(const fs::path& folder, std::optional<std::int64_t> last_step) {
  for (const auto& path : event_files(folder)) {
    std::error_code error;
    if (!last_step) {
      fs::remove(path, error);
    } else {
      const auto length = length_until(MappedFile(path).text(), *last_step);
      if (length < fs::file_size(path, error) && !error) fs::resize_file(path, length, error);
    }
    if (error)
      throw InputError(fmt::format("cannot change '{}'", path.string())).found(error.message());
  }
}

}  // namespace autarky
