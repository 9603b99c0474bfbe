// Event files that TensorBoard reads: scalars by step. A file is a row of records:
//   u64   n, little-endian
//   u32   masked CRC of these 8 bytes
//   n     an Event (protobuf)
//   u32   masked CRC of the event
// CRC: CRC-32C c (Castagnoli); masked: (c >> 15 | c << 17) + 0xa282ead8.
#pragma once
#include <cstdint>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace autarky {

struct Scalar {
  std::string tag;
  double value;
};

// Files are named events.out.tfevents.SECONDS.HOST.autarky; TensorBoard takes all of a folder in
// the order of their names.
class EventWriter {
 public:
  // A new file in `folder`, named after all that are there. InputError if it cannot be made.
  explicit EventWriter(const fs::path& folder);

  // One event, handed to the system as a whole before this returns. Error when the disk is full.
  void write(std::int64_t step, std::span<const Scalar> scalars);

 private:
  void append(std::string_view event);

  fs::path path_;
  std::ofstream out_;
};

// Takes events of later steps than `last_step` off the files that EventWriters made in `folder`,
// and what follows a damaged record; without `last_step` removes the files.
void cut_events(const fs::path& folder, std::optional<std::int64_t> last_step);

std::uint32_t crc32c(std::string_view bytes);

}  // namespace autarky
