#include "data/text_stream.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "base/rng.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

std::string gzip(std::string_view text, int level = 6) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = uInt(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = uInt(packed.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  return packed;
}

std::string zstd(std::string_view text, int window_log = 0) {
  ZSTD_CCtx* context = ::ZSTD_createCCtx();
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  if (window_log > 0) {
    ::ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    ::ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  }
  std::string packed(::ZSTD_compressBound(text.size()), '\0');
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  // As a stream, so that a small text may ask for a large window.
  while (in.pos < in.size) ::ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue);
  EXPECT_EQ(::ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  packed.resize(out.pos);
  ::ZSTD_freeCCtx(context);
  return packed;
}

// 3 MB that pack to about a third: several parts of the reader's, packed and plain.
std::string long_text() {
  const Random random{11, Purpose::test};
  std::string text;
  for (std::uint64_t i = 0; text.size() < 3'000'000; ++i)
    text += "line " + std::to_string(random.bits(i) % 100'000'000) + "\n";
  return text;
}

std::string read_all(const fs::path& path) {
  const std::vector<fs::path> inputs{path};
  TextStream stream(list_text_files(inputs).front());
  std::string all;
  for (auto part = stream.read(); !part.empty(); part = stream.read()) all += part;
  EXPECT_TRUE(stream.read().empty());
  EXPECT_EQ(stream.bytes_taken(), std::int64_t(fs::file_size(path)));
  return all;
}

TEST(TextStream, ReadsPlainGzipAndZstdAlike) {
  const ScratchFolder folder;
  for (const auto& text : {std::string(), std::string("one\n"), long_text()}) {
    EXPECT_TRUE(read_all(folder.write("a.txt", text)) == text);
    EXPECT_TRUE(read_all(folder.write("a.txt.gz", gzip(text))) == text);
    EXPECT_TRUE(read_all(folder.write("a.jsonl.zst", zstd(text))) == text);
  }
}

TEST(TextStream, ReadsMembersAndFramesOneAfterTheOther) {
  const ScratchFolder folder;
  const auto text = long_text();
  EXPECT_TRUE(read_all(folder.write("a.txt.gz", gzip("one") + gzip("") + gzip(text) + gzip("z"))) ==
              "one" + text + "z");
  EXPECT_TRUE(read_all(folder.write("a.txt.zst", zstd("one") + zstd("") + zstd(text) +
                                                     zstd("z"))) == "one" + text + "z");
  std::string many_gzip, many_zstd, expected;
  for (int i = 0; i < 3000; ++i) {
    many_gzip += gzip(std::to_string(i)), many_zstd += zstd(std::to_string(i));
    expected += std::to_string(i);
  }
  EXPECT_EQ(read_all(folder.write("b.txt.gz", many_gzip)), expected);
  EXPECT_EQ(read_all(folder.write("b.txt.zst", many_zstd)), expected);
}

TEST(TextStream, ZerosMayFollowGzipAndSkippableFramesMayStandInZstd) {
  const ScratchFolder folder;
  EXPECT_EQ(read_all(folder.write("a.txt.gz", gzip("one") + std::string(1000, '\0'))), "one");
  EXPECT_EQ(read_all(folder.write("a.txt.gz", gzip("1") + std::string(9, '\0') + gzip("2"))), "12");
  const std::string skippable("\x53\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  EXPECT_EQ(read_all(folder.write("a.txt.zst", skippable + zstd("one") + skippable)), "one");
}

std::string error_of(const ScratchFolder& folder, std::string_view name, std::string_view content) {
  return input_error_of([&] { read_all(folder.write(name, content)); });
}

TEST(TextStream, EveryTruncationIsAnErrorWithItsByte) {
  const ScratchFolder folder;
  const auto check = [&](const std::string& name, const std::string& packed) {
    for (std::size_t n = 0; n < packed.size(); ++n) {
      const auto error = error_of(folder, name, packed.substr(0, n));
      EXPECT_TRUE(contains(error, name + ", byte " + std::to_string(n) + ": the ")) << error;
      EXPECT_TRUE(contains(error, "data is truncated. Copy or pack it again")) << error;
    }
  };
  check("a.txt.gz", gzip("a short text, a short text"));
  check("a.txt.zst", zstd("a short text, a short text"));
  const auto long_zstd = zstd(long_text());
  EXPECT_TRUE(contains(error_of(folder, "b.txt.zst", long_zstd.substr(0, long_zstd.size() - 1)),
                       "b.txt.zst, byte " + std::to_string(long_zstd.size() - 1) + ": the zstd"));
  const auto second = gzip("one") + gzip("two").substr(0, 12);
  EXPECT_TRUE(contains(error_of(folder, "c.txt.gz", second), "the gzip data is truncated"));
}

TEST(TextStream, GarbledStreamsAreErrorsWithTheByteReached) {
  const ScratchFolder folder;
  const auto packed = gzip("a short text, a short text");
  auto wrong_sum = packed;
  wrong_sum[wrong_sum.size() - 6] ^= 1;
  EXPECT_TRUE(
      contains(error_of(folder, "a.txt.gz", wrong_sum), "garbled gzip data: incorrect data check"));
  EXPECT_TRUE(contains(error_of(folder, "a.txt.gz", "plain text"),
                       "a.txt.gz, byte 2: garbled gzip data: incorrect header check"));
  EXPECT_TRUE(contains(error_of(folder, "a.txt.gz", packed + "garbage"), "garbled gzip data"));
  EXPECT_TRUE(contains(error_of(folder, "a.txt.zst", "plain text"), "garbled zstd data: Unknown"));
  EXPECT_TRUE(contains(error_of(folder, "a.txt.zst", zstd("one") + "garbage"), "garbled zstd"));
  auto flipped = zstd("a short text, a short text");
  flipped[flipped.size() - 1] ^= 1;
  EXPECT_TRUE(contains(error_of(folder, "a.txt.zst", flipped), "checksum"));
}

// Whatever bit is flipped: an error or other text, never a crash; with checksums almost always the
// former.
TEST(TextStream, FlippedBitsDoNoHarm) {
  const ScratchFolder folder;
  const std::string text = "the quick brown fox jumps over the lazy dog, the lazy dog sleeps";
  const auto check = [&](const std::string& name, const std::string& packed) {
    for (std::size_t bit = 0; bit < 8 * packed.size(); ++bit) {
      auto flipped = packed;
      flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << bit % 8));
      std::string read;
      const auto path = folder.write(name, flipped);
      const bool fine = input_error_of([&] { read = read_all(path); }).empty();
      EXPECT_TRUE(!fine || read == text) << bit;
    }
  };
  check("a.txt.gz", gzip(text));
  check("a.txt.zst", zstd(text));
}

TEST(TextStream, AZstdWindowBeyondTheLimitIsNamed) {
  const ScratchFolder folder;
  EXPECT_EQ(read_all(folder.write("a.txt.zst", zstd("x", 27))), "x");
  const auto error = error_of(folder, "a.txt.zst", zstd("x", 28));
  EXPECT_TRUE(contains(error, "window above 128 MiB: unpack it with zstd -d --long=31")) << error;
}

TEST(TextStream, StandardInputIsToldByItsFirstBytes) {
  EXPECT_EQ(unpacker_by_content(gzip("x"))->format(), "gzip");
  EXPECT_EQ(unpacker_by_content(zstd("x"))->format(), "zstd");
  EXPECT_EQ(unpacker_by_content("\x53\x2a\x4d\x18")->format(), "zstd");
  for (const char* plain : {"", "x", "\x1f", "text", "Ptext", "\x28\xb5\x2f"})
    EXPECT_EQ(unpacker_by_content(plain), nullptr) << plain;
}

}  // namespace
}  // namespace autarky
