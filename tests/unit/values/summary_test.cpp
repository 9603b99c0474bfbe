// Summaries of parts add up to that of the whole.
#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "base/rng.h"
#include "values/summary.h"

namespace autarky {
namespace {

// A value of random numbers, and any rank's part of it.
struct Whole {
  explicit Whole(DType dtype) : type(dtype, {{'b', 4}, {'s', 6}, {'e', 3000}}) {
    const Random random{3, Purpose::test};
    for (std::int64_t i = 0; i < type.elements(); ++i)
      numbers.push_back(float(random.normal(std::uint64_t(i))));
  }

  ValueSummary part(const Layout& layout, const Mesh& mesh, int rank) const {
    Type split = type;
    split.layout = layout;
    const Type local = local_type(split, mesh);
    const auto runs = stretches_of(split, mesh, mesh.coordinates(rank), 1000);
    std::vector<std::byte> bytes(std::size_t(local.bytes()));
    const Tensor t{bytes.data(), &local};
    for (const auto& r : runs)
      for (std::int64_t i = 0; i < r.count; ++i) {
        const float x = numbers[std::size_t(r.whole + i)];
        if (local.dtype == DType::bf16) t.as<bf16>()[r.part + i] = bf16(x);
        else t.as<float>()[r.part + i] = x;
      }
    return summarize(t, runs);
  }
  ValueSummary whole() const { return part(type.layout, Mesh{}, 0); }

  Type type;
  std::vector<float> numbers;
};

TEST(Summary, OfPartsAddsUpToThatOfTheWholeInEveryLayout) {
  Mesh mesh;
  mesh.size(Axis::dp) = 2;
  mesh.size(Axis::tp) = 3;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Whole value(dtype);
    for (const std::string layout : {"b:dp e:tp", "s:dp,tp", "e:tp,dp", "*:dp,tp", "e:tp *:dp"}) {
      const Layout split = parse_type("f32[b4 s6 e3000]{" + layout + "}").layout;
      ValueSummary sum;
      for (int r = 0; r < mesh.ranks(); ++r) sum = sum + value.part(split, mesh, r);
      const ValueSummary whole = value.whole();
      EXPECT_EQ(sum.hash, whole.hash) << layout;
      EXPECT_EQ(sum.present, whole.present) << layout;
      EXPECT_EQ(sum.least, whole.least) << layout;
      EXPECT_EQ(sum.greatest, whole.greatest) << layout;
      EXPECT_NEAR(sum.squares, whole.squares, 1e-9 * whole.squares) << layout;
      EXPECT_LT(distance(sum, whole), 1e-12) << layout;
    }
  }
}

TEST(Summary, HashSeesOneBitAndTwoElementsThatChangePlaces) {
  Whole value(DType::f32);
  const auto before = value.whole();
  std::swap(value.numbers[17], value.numbers[18]);
  EXPECT_NE(value.whole().hash, before.hash);
  std::swap(value.numbers[17], value.numbers[18]);
  EXPECT_EQ(value.whole().hash, before.hash);
  value.numbers[71'999] = std::nextafter(value.numbers[71'999], 10.0f);
  EXPECT_NE(value.whole().hash, before.hash);
}

TEST(Summary, DistanceIsThatOfTheValuesWithinAThird) {
  for (const double noise : {1e-7, 1e-3, 0.1}) {
    double ratios = 0;
    for (std::uint32_t trial = 0; trial < 8; ++trial) {
      Whole value(DType::f32);
      const auto before = value.whole();
      double square = 0, size = 0;
      const Random random{5, Purpose::test, trial};
      for (std::size_t i = 0; i < value.numbers.size(); ++i) {
        const float was = value.numbers[i];
        value.numbers[i] = was + float(noise * random.normal(i));
        square += std::pow(double(value.numbers[i]) - double(was), 2);
        size += double(was) * double(was);
      }
      ratios += distance(before, value.whole()) / std::sqrt(square / size) / 8;
    }
    EXPECT_NEAR(ratios, 1, 0.34) << noise;
  }
}

TEST(Summary, CountsWhatIsNotFiniteAndKeepsTheRest) {
  Whole value(DType::f32);
  const auto before = value.whole();
  value.numbers[5] = std::nanf("");
  value.numbers[6] = INFINITY;
  const auto after = value.whole();
  EXPECT_EQ(after.bad, 2u);
  EXPECT_TRUE(std::isfinite(after.squares));
  EXPECT_TRUE(std::isinf(distance(before, after)));
}

TEST(Summary, DoesNotDependOnThreads) {
  const Whole value(DType::f32);
  set_thread_count(1);
  const auto one = value.whole();
  set_thread_count(2);
  const auto two = value.whole();
  EXPECT_EQ(one.lot, two.lot);
  EXPECT_EQ(one.squares, two.squares);
}

}  // namespace
}  // namespace autarky
