#include "formats/tensorboard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

struct ReadEvent {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string version;
  std::map<std::string, float> scalars;
};

// A reader of its own: the wire format of protobuf by hand, the CRC bit by bit.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
  std::string_view take(std::size_t n) {
    if (n > rest_.size()) throw std::runtime_error("cut off");
    const auto part = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return part;
  }
  template <typename T>
  T fixed() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view bytes() { return take(varint()); }

 private:
  std::string_view rest_;
};

std::uint32_t masked(std::string_view bytes) {
  std::uint32_t c = 0xffffffffu;
  for (const char byte : bytes) {
    c ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ (0x82F63B78u & (0u - (c & 1)));
  }
  c = ~c;
  return ((c >> 15) | (c << 17)) + 0xa282ead8u;
}

void parse_summary(WireReader summary, ReadEvent& event) {
  while (!summary.empty()) {
    EXPECT_EQ(summary.varint(), 1u << 3 | 2);
    WireReader value(summary.bytes());
    EXPECT_EQ(value.varint(), 1u << 3 | 2);
    const std::string tag(value.bytes());
    EXPECT_EQ(value.varint(), 2u << 3 | 5);
    event.scalars[tag] = value.fixed<float>();
    EXPECT_TRUE(value.empty());
  }
}

ReadEvent parse_event(WireReader fields) {
  ReadEvent event;
  while (!fields.empty()) {
    const auto key = fields.varint();
    if (key == (1 << 3 | 1)) event.wall_time = fields.fixed<double>();
    else if (key == (2 << 3 | 0)) event.step = std::int64_t(fields.varint());
    else if (key == (3 << 3 | 2)) event.version = fields.bytes();
    else if (key == (5 << 3 | 2)) parse_summary(WireReader(fields.bytes()), event);
    else throw std::runtime_error("unknown field");
  }
  return event;
}

std::vector<ReadEvent> events_of(const fs::path& path) {
  const std::string file = read_file(path);
  std::vector<ReadEvent> events;
  for (WireReader records(file); !records.empty();) {
    const auto head = records.take(8);
    EXPECT_EQ(records.fixed<std::uint32_t>(), masked(head));
    const auto data = records.take(WireReader(head).fixed<std::uint64_t>());
    EXPECT_EQ(records.fixed<std::uint32_t>(), masked(data));
    events.push_back(parse_event(WireReader(data)));
  }
  return events;
}

// The steps in all files of a folder, in the order in which TensorBoard takes them.
std::vector<std::int64_t> steps_of(const ScratchFolder& folder) {
  std::vector<std::int64_t> steps;
  for (const auto& name : folder.names()) {
    const auto events = events_of(folder / name);
    EXPECT_EQ(events.at(0).version, "brain.Event:2");
    for (std::size_t i = 1; i < events.size(); ++i) steps.push_back(events[i].step);
  }
  return steps;
}

void write_steps(const ScratchFolder& folder, std::int64_t first, std::int64_t last) {
  EventWriter writer(folder.path());
  for (auto step = first; step <= last; ++step)
    writer.write(step, std::vector<Scalar>{{"loss", double(step)}});
}

TEST(TensorBoard, TheCrcIsCastagnolis) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);  // the check value of the polynomial's catalogue
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(TensorBoard, RecordsHoldTheScalars) {
  const ScratchFolder folder;
  {
    EventWriter writer(folder.path());
    writer.write(1, std::vector<Scalar>{{"loss", 6.25}, {"zero", 0}, {"memory", 4.2e9}});
    writer.write(1'000'000'000'000, std::vector<Scalar>{{"loss", NAN}});
  }
  ASSERT_EQ(folder.names().size(), 1u);
  const auto name = folder.names()[0];
  EXPECT_TRUE(name.starts_with("events.out.tfevents.1") && name.ends_with(".autarky")) << name;
  const auto events = events_of(folder / name);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[1].step, 1);
  EXPECT_GT(events[1].wall_time, 1.7e9);
  EXPECT_EQ(events[1].scalars,
            (std::map<std::string, float>{{"loss", 6.25f}, {"zero", 0.f}, {"memory", 4.2e9f}}));
  EXPECT_EQ(events[2].step, 1'000'000'000'000);
  EXPECT_TRUE(std::isnan(events[2].scalars.at("loss")));
}

TEST(TensorBoard, ResumingGoesOnInANewFileWithoutRepeatingSteps) {
  const ScratchFolder folder;
  write_steps(folder, 1, 7);
  cut_events(folder.path(), 4);
  write_steps(folder, 5, 9);
  cut_events(folder.path(), 6);
  write_steps(folder, 7, 8);
  EXPECT_EQ(folder.names().size(), 3u);
  EXPECT_EQ(steps_of(folder), (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  cut_events(folder.path(), 2);
  EXPECT_EQ(steps_of(folder), (std::vector<std::int64_t>{1, 2}));
  folder.write("events.out.tfevents.0000000001.other", "of another program");
  cut_events(folder.path(), {});
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"events.out.tfevents.0000000001.other"}));
}

TEST(TensorBoard, WhatFollowsADamagedRecordIsCutOff) {
  const ScratchFolder folder;
  write_steps(folder, 1, 5);
  const auto path = folder / folder.names()[0];
  const auto whole = read_file(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto damaged = whole;
    damaged[i] = char(damaged[i] ^ 0x10);
    folder.write(path.filename().string(), damaged);
    cut_events(folder.path(), 100);
    const auto left = read_file(path);
    EXPECT_LE(left.size(), i);
    EXPECT_EQ(left, whole.substr(0, left.size()));
    folder.write(path.filename().string(), whole.substr(0, i));  // killed while it wrote
    cut_events(folder.path(), 100);
    EXPECT_EQ(read_file(path), left);
  }
  folder.write(path.filename().string(), std::string(8, '\xff') + whole);  // a hostile length
  cut_events(folder.path(), 100);
  EXPECT_EQ(fs::file_size(path), 0u);
}

}  // namespace
}  // namespace autarky
