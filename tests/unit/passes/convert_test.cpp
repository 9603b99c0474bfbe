#include "passes/convert.h"

#include <gtest/gtest.h>

#include "passes/partition.h"
#include "passes/verify.h"

namespace autarky {
namespace {

// The movements that turn one layout into another, checked by the verifier on the way.
std::string steps(const std::string& from, const std::string& to) {
  Mesh mesh;
  mesh.size(Axis::dp) = mesh.size(Axis::tp) = mesh.size(Axis::tpr) = 2;
  Graph g;
  g.name = "convert";
  const Value v = g.add_input("x", PortKind::activation, parse_type(from));
  g.add_output("y", PortKind::activation,
               convert_layout(g, v, parse_type(to).layout, "convert_test"));
  verify_layouts(g, mesh);
  std::string text;
  for (const auto& node : g.nodes) text += std::string(node.op->name) + " ";
  return text;
}

TEST(Convert, TakesAxesOffFromTheInnermostAndPutsThemOnFromTheOutermost) {
  EXPECT_EQ(steps("f32[b4 s8]{s:tpr,tp}", "f32[b4 s8]"), "all_gather all_gather ");
  EXPECT_EQ(steps("f32[b4 s8]{s:tpr,tp}", "f32[b4 s8]{s:tpr}"), "all_gather ");
  EXPECT_EQ(steps("f32[b4 s8]{s:tp,tpr}", "f32[b4 s8]{s:tpr}"), "all_gather all_gather slice ");
  EXPECT_EQ(steps("f32[b4 s8]{| tp=sum tpr=sum}", "f32[b4 s8]{s:tpr,tp}"),
            "reduce_scatter reduce_scatter ");
  EXPECT_EQ(steps("f32[b4 s8]", "f32[b4 s8]{s:tp,tpr}"), "slice slice ");
  EXPECT_EQ(steps("f32[b4 s8]{s:tpr,tp}", "f32[b4 s8]{b:tp s:tpr}"), "all_to_all ");
}

TEST(Convert, WhatIsFlatIsMadeWholeBeforeItsDimsChange) {
  EXPECT_EQ(steps("f32[b4 s8]{s:tp *:dp}", "f32[b4 s8]"), "all_gather all_gather ");
  EXPECT_EQ(steps("f32[b4 s8]", "f32[b4 s8]{s:tp *:dp}"), "slice slice ");
  EXPECT_EQ(steps("f32[b4 s8]{| dp=sum}", "f32[b4 s8]{s:tp *:dp}"), "all_reduce slice slice ");
}

TEST(SubAxes, AreTakenWhereGroupsDoNotSuffice) {
  const auto factors = [](int tp, int groups, int queries) {
    Mesh mesh;
    mesh.size(Axis::tp) = tp;
    const Mesh cut = with_sub_axes(mesh, groups, queries);
    return std::pair(cut.size(Axis::tp), cut.size(Axis::tpr));
  };
  EXPECT_EQ(factors(2, 8, 4), std::pair(2, 1));
  EXPECT_EQ(factors(8, 8, 4), std::pair(8, 1));
  EXPECT_EQ(factors(16, 8, 4), std::pair(8, 2));
  EXPECT_EQ(factors(8, 2, 4), std::pair(2, 4));
  EXPECT_EQ(factors(8, 4, 7), std::pair(4, 2));   // four queries and three
  EXPECT_EQ(factors(2, 3, 2), std::pair(1, 2));   // three heads each, not four and two
  EXPECT_EQ(factors(2, 12, 1), std::pair(2, 1));  // no query to split
  EXPECT_EQ(factors(8, 12, 1), std::pair(8, 1));
}

}  // namespace
}  // namespace autarky
