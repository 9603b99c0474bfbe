// gzip (RFC 1952) and zstd (RFC 8878) streams, unpacked a part at a time.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace autarky {

// Takes packed bytes and gives plain ones.
class Unpacker {
 public:
  struct Step {
    std::size_t taken = 0, given = 0;
    std::string fault;  // not empty: the bytes are not of the format
  };
  virtual ~Unpacker() = default;
  // Unpacks a part of `in` into `out`; takes and gives nothing only if it needs more of either.
  virtual Step unpack(std::string_view in, std::span<char> out) = 0;
  virtual bool may_end() const = 0;  // after a whole member or frame
  virtual std::string_view format() const = 0;
};

std::unique_ptr<Unpacker> gzip_unpacker();  // any number of members; zeros may follow them
std::unique_ptr<Unpacker> zstd_unpacker();  // any number of frames; windows up to 128 MiB

// By the first bytes of a stream, at least four if it has as many; none: it is not packed.
std::unique_ptr<Unpacker> unpacker_by_content(std::string_view start);

}  // namespace autarky
