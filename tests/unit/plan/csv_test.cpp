#include "plan/csv.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

TEST(Csv, FieldsKeepTheirCommasQuotesAndLines) {
  const ScratchFolder folder;
  const auto rows = read_csv(folder.write("t.csv", "a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n,last"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fields, (std::map<std::string, std::string>{{"a", "1"}, {"b", "x, \"y\"\nz"}}));
  EXPECT_EQ(rows[1].fields, (std::map<std::string, std::string>{{"a", ""}, {"b", "last"}}));
}

TEST(Csv, PlacesAreLinesOfTheFile) {
  const ScratchFolder folder;
  const auto rows =
      read_csv(folder.write("t.csv", "a,b\n\n1,2\n\n\n\"x\ny\",\"three\nlines\"\n5,6\n"));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_TRUE(contains(rows[0].place, "t.csv:3")) << rows[0].place;
  EXPECT_TRUE(contains(rows[1].place, "t.csv:6")) << rows[1].place;
  EXPECT_TRUE(contains(rows[2].place, "t.csv:9")) << rows[2].place;
}

std::string refusal_of(const std::string& text) {
  const ScratchFolder folder;
  try {
    read_csv(folder.write("t.csv", text));
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(Csv, WhatIsNoTableIsRefusedWithTheLine) {
  const std::string fields = refusal_of("a,b\n\n1,2\n3\n");
  EXPECT_TRUE(contains(fields, "t.csv:4")) << fields;
  EXPECT_TRUE(contains(fields, "another number of fields")) << fields;
  EXPECT_TRUE(contains(refusal_of("a,b\n1,2\n \t\n\n7\n"), "t.csv:5"));
  EXPECT_TRUE(contains(refusal_of("a,b\n1,2\r3\n"), "t.csv:2"));
  const std::string open = refusal_of("a,b\n1,\"2\n3,4\n");
  EXPECT_TRUE(contains(open, "comma-separated")) << open;
  EXPECT_TRUE(contains(open, "t.csv:2")) << open;
  EXPECT_TRUE(contains(refusal_of("a,b\n\n\"1,2\n3,4\n"), "t.csv:3"));
  EXPECT_TRUE(contains(refusal_of("a,b\n1,2\"x\n"), "t.csv:2"));
}

}  // namespace
}  // namespace autarky
