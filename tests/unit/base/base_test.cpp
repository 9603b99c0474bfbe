#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/words.h"

namespace autarky {
namespace {

TEST(Error, SaysWhatWhereFoundWantedAndNext) {
  const Error e =
      InputError("wrong length").at("a.bin").found("3 bytes").wanted("8").hint("Copy it again.");
  EXPECT_STREQ(e.what(), "a.bin: wrong length; found 3 bytes, wanted 8. Copy it again.");
  EXPECT_EQ(e.exit_code(), 2);
}

TEST(Bf16, RoundsToNearestEven) {
  EXPECT_EQ(float(bf16(1.0f)), 1.0f);
  EXPECT_EQ(float(bf16(1.00390625f)), 1.0f);       // half way: to even
  EXPECT_EQ(float(bf16(1.01171875f)), 1.015625f);  // half way: to even, upwards
  EXPECT_TRUE(std::isnan(float(bf16(NAN))));
  EXPECT_TRUE(std::isinf(float(bf16(3.4e38f))));
}

TEST(F16, EveryValueRoundTrips) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    f16 h;
    h.bits = std::uint16_t(bits);
    const float x = float(h);
    if (std::isnan(x)) continue;
    EXPECT_EQ(f16(x).bits, h.bits) << bits;
  }
}

// Known-answer vectors of the Random123 library, kat_vectors: philox4x32 10.
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Parallel, RunsEveryIndexOnceAndCarriesExceptions) {
  std::vector<int> seen(1000);
  parallel_for(1000, [&](std::int64_t i, int) { ++seen[std::size_t(i)]; });
  EXPECT_EQ(seen, std::vector<int>(1000, 1));
  EXPECT_THROW(parallel_for(8,
                            [](std::int64_t i, int) {
                              if (i == 3) throw InputError("three");
                            }),
               InputError);
}

TEST(Json, ErrorsNameTheFileAndLimitDepth) {
  try {
    parse_json("{\"a\": ", "x.json");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("x.json: not valid JSON at byte"), std::string::npos);
  }
  EXPECT_THROW(parse_json("[1e999]", "huge"), InputError);
  EXPECT_THROW(parse_json(std::string(1000, '[') + std::string(1000, ']'), "deep"), InputError);
}

TEST(Json, ObjectsThatWouldTakeQuadraticTimeAreRefused) {
  std::string text = "{\"0\": {}";
  for (std::size_t i = 1; i < kMostKeys; ++i) text += ", \"" + std::to_string(i) + "\": {}";
  EXPECT_EQ(parse_json(text + "}", "x.json").size(), kMostKeys);
  try {
    parse_json("[" + text + ", \"one more\": 1}]", "x.json");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "x.json: a JSON object of more than 10000 keys");
  }
}

TEST(Words, NamesOfHostileLengthHaveNoNeighbour) {
  const std::string longest(256, 'a'), too_long(257, 'a');
  EXPECT_EQ(nearest_name(longest, std::vector{longest + "b"}), longest + "b");
  EXPECT_EQ(nearest_name(too_long, std::vector{too_long}), "");
  EXPECT_EQ(nearest_name("steps", std::vector{std::string(100'000'000, 's')}), "");
}

TEST(Words, NearestName) {
  const std::vector<std::string> keys = {"steps", "seed", "seq_length"};
  EXPECT_EQ(nearest_name("stepz", keys), "steps");
  EXPECT_EQ(nearest_name("completely_other", keys), "");
  EXPECT_EQ(human_bytes(4.4e9), "4.40 GB");
  EXPECT_EQ(human_seconds(192), "3 min 12 s");
}

}  // namespace
}  // namespace autarky
