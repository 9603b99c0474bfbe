#include "data/unpack.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace autarky {
namespace {

constexpr int kGzipOnly = 16;    // added to zlib's window bits
constexpr int kZstdWindow = 27;  // 128 MiB, as the zstd program allows unasked

class GzipUnpacker : public Unpacker {
 public:
  GzipUnpacker() {
    AUTARKY_CHECK(::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK, "zlib starts");
  }
  ~GzipUnpacker() override { ::inflateEnd(&stream_); }
  GzipUnpacker(const GzipUnpacker&) = delete;
  GzipUnpacker& operator=(const GzipUnpacker&) = delete;

  Step unpack(std::string_view in, std::span<char> out) override {
    if (between_) {
      const auto zeros = std::min(in.find_first_not_of('\0'), in.size());
      if (zeros > 0 || in.empty()) return {zeros, 0, {}};
      between_ = false;
      ::inflateReset(&stream_);
    }
    const auto available = [](std::size_t n) { return uInt(std::min<std::size_t>(n, 1u << 30)); };
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = available(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = available(out.size());
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    between_ = result == Z_STREAM_END;
    Step step{std::size_t(reinterpret_cast<const char*>(stream_.next_in) - in.data()),
              std::size_t(reinterpret_cast<const char*>(stream_.next_out) - out.data()),
              {}};
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      step.fault = stream_.msg ? stream_.msg : "unusable header";
    return step;
  }
  bool may_end() const override { return between_; }
  std::string_view format() const override { return "gzip"; }

 private:
  z_stream stream_{};
  bool between_ = false;  // members
};

class ZstdUnpacker : public Unpacker {
 public:
  ZstdUnpacker() : stream_(::ZSTD_createDStream()) {
    AUTARKY_CHECK(stream_, "zstd starts");
    ::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kZstdWindow);
  }
  ~ZstdUnpacker() override { ::ZSTD_freeDStream(stream_); }
  ZstdUnpacker(const ZstdUnpacker&) = delete;
  ZstdUnpacker& operator=(const ZstdUnpacker&) = delete;

  Step unpack(std::string_view in, std::span<char> out) override {
    if (between_ && in.empty()) return {};
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t result = ::ZSTD_decompressStream(stream_, &to, &from);
    between_ = result == 0;
    Step step{from.pos, to.pos, {}};
    if (!::ZSTD_isError(result)) return step;
    step.fault = ::ZSTD_getErrorName(result);
    if (::ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
      step.fault = "it needs a window above 128 MiB: unpack it with zstd -d --long=31";
    return step;
  }
  bool may_end() const override { return between_; }
  std::string_view format() const override { return "zstd"; }

 private:
  ZSTD_DStream* stream_;
  bool between_ = false;  // frames
};

}  // namespace

std::unique_ptr<Unpacker> gzip_unpacker() { return std::make_unique<GzipUnpacker>(); }
std::unique_ptr<Unpacker> zstd_unpacker() { return std::make_unique<ZstdUnpacker>(); }

std::unique_ptr<Unpacker> unpacker_by_content(std::string_view start) {
  if (start.starts_with("\x1f\x8b")) return gzip_unpacker();
  if (start.starts_with("\x28\xb5\x2f\xfd")) return zstd_unpacker();
  const bool skippable =
      start.size() >= 4 && (start[0] & 0xf0) == 0x50 && start.substr(1).starts_with("\x2a\x4d\x18");
  return skippable ? zstd_unpacker() : nullptr;
}

}  // namespace autarky
