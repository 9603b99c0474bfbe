#include "ir/part.h"

#include <gtest/gtest.h>

namespace autarky {
namespace {

Mesh mesh(int dp, int tp) {
  Mesh m;
  m.size(Axis::dp) = dp;
  m.size(Axis::tp) = tp;
  return m;
}

// How often every element is held, over the ranks that differ along the axes of the layout.
std::vector<int> held(const std::string& text, const Mesh& m, std::int64_t most = 1000) {
  const Type type = parse_type(text);
  std::vector<int> count(std::size_t(type.elements()), 0);
  for (int rank = 0; rank < m.ranks(); ++rank) {
    std::int64_t part = 0;
    for (const Stretch& r : stretches_of(type, m, m.coordinates(rank), most)) {
      EXPECT_GE(r.part, part);
      EXPECT_LE(r.count, most);
      part = r.part + r.count;
      for (std::int64_t i = 0; i < r.count; ++i) ++count[std::size_t(r.whole + i)];
    }
    EXPECT_LE(part, local_type(type, m).elements());
  }
  return count;
}

TEST(Part, EveryElementIsHeldByOneRankOfASplit) {
  for (const std::string text :
       {"f32[b4 s6 e8]{b:dp s:tp}", "f32[b4 s6 e8]{s:tp e:dp}", "f32[b4 s6 e8]{e:dp,tp}",
        "f32[e12]{e:tp,dp}", "f32[v5000 e3]{*:dp,tp}", "f32[v5000 e4]{e:tp *:dp}",
        "f32[v16 e3]{*:tp,dp}"})
    EXPECT_EQ(held(text, mesh(2, 2)), std::vector<int>(std::size_t(parse_type(text).elements()), 1))
        << text;
}

TEST(Part, UnevenPartsHoldEveryElementOnceAndPaddingNone) {
  for (const std::string text :
       {"f32[v5 e3]{v:tp}", "f32[e3 f7]{f:dp,tp}", "f32[v6 e2]{v:dp,tp}",
        "f32[g3 r5 e2]{g:dp r:tp}", "f32[v1 e4]{v:dp}", "f32[v4999 e3]{v:tp *:dp}"})
    EXPECT_EQ(held(text, mesh(2, 4)), held(text, mesh(2, 4), 2)) << text;
  for (const std::string text : {"f32[e3 f7]{f:dp,tp}", "f32[v6 e2]{v:dp,tp}"})
    EXPECT_EQ(held(text, mesh(2, 4)), std::vector<int>(std::size_t(parse_type(text).elements()), 1))
        << text;
  const Mesh m = mesh(2, 2);
  const std::vector<Axis> both = {Axis::dp, Axis::tp};
  EXPECT_EQ(dim_part(6, m, both, m.coordinates(0)), (DimPart{0, 2, 2}));
  EXPECT_EQ(dim_part(6, m, both, m.coordinates(1)), (DimPart{2, 2, 1}));
  EXPECT_EQ(dim_part(6, m, both, m.coordinates(2)), (DimPart{3, 2, 2}));
  EXPECT_EQ(dim_part(6, m, both, m.coordinates(3)), (DimPart{5, 2, 1}));
  EXPECT_EQ(dim_part(1, m, both, m.coordinates(3)), (DimPart{2, 1, 0}));
}

TEST(Part, ReplicasHoldTheSame) {
  EXPECT_EQ(held("f32[b4 e8]{b:dp}", mesh(2, 3)), std::vector<int>(32, 3));
  EXPECT_EQ(held("f32[b4 e8]", mesh(2, 1)), std::vector<int>(32, 2));
}

TEST(Part, RunsAreAsLongAsTheSplitAllows) {
  const Type rows = parse_type("f32[b4 s6 e8]{b:dp}"), columns = parse_type("f32[b4 e8]{e:tp}");
  EXPECT_EQ(stretches_of(rows, mesh(2, 1), mesh(2, 1).coordinates(1)),
            (std::vector<Stretch>{{0, 96, 96}}));
  EXPECT_EQ(stretches_of(columns, mesh(1, 2), mesh(1, 2).coordinates(1)),
            (std::vector<Stretch>{{0, 4, 4}, {4, 12, 4}, {8, 20, 4}, {12, 28, 4}}));
}

TEST(Part, FlatPartsAreWholeBlocksFilledUpAtTheEnd) {
  const Type type = parse_type("f32[v9000 e1]{*:dp}");
  const Mesh m = mesh(2, 1);
  EXPECT_EQ(local_type(type, m).elements(), 2 * kFlatBlock);
  EXPECT_EQ(stretches_of(type, m, m.coordinates(1)), (std::vector<Stretch>{{0, 8192, 808}}));
}

TEST(Part, TheTextOfAFlatLayoutReadsBack) {
  const std::string text = "bf16[v16 e8]{v:tp *:dp}";
  EXPECT_EQ(to_string(parse_type(text)), text);
}

}  // namespace
}  // namespace autarky
