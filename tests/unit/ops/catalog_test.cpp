#include "ops/catalog.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace autarky {
namespace {

TEST(Catalog, AttributesOfEveryCasePrintAndParseBack) {
  Catalog::each([]<Operation Op>() {
    const OpInfo& op = op_info<Op>();
    for (const auto& c : op.cases()) {
      const auto text = op.print(c.attrs);
      EXPECT_EQ(op.print(op.parse(text)), text) << op.name;
    }
  });
}

TEST(Catalog, EveryOperationIsFoundByItsName) {
  Catalog::each([]<Operation Op>() { EXPECT_EQ(find_op(Op::name), &op_info<Op>()); });
  EXPECT_EQ(find_op("no_such_operation"), nullptr);
}

TEST(Graph, AWrongShapeNamesOperationDimAndLine) {
  Graph graph;
  const Value x =
      graph.add_input("x", PortKind::activation, Type(DType::f32, {{'b', 2}, {'s', 3}, {'e', 4}}));
  const Value w = graph.add_input("w", PortKind::param, Type(DType::f32, {{'f', 8}, {'e', 5}}));
  try {
    apply<Contract>(graph, {"b s e, f e -> b s f"}, {x, w});
    FAIL();
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("[contract] catalog_test.cpp:"), std::string::npos) << text;
    EXPECT_NE(text.find("dim 'e' is 4 and also 5 (input 1)"), std::string::npos) << text;
  }
}

TEST(Graph, PrintsAndParsesBack) {
  Graph graph;
  graph.name = "layer";
  const Value x =
      graph.add_input("x", PortKind::activation, Type(DType::bf16, {{'b', 2}, {'s', 3}, {'e', 4}}));
  const Value w = graph.add_input("w", PortKind::param, Type(DType::bf16, {{'f', 8}, {'e', 4}}));
  graph.type(x).layout.split[0] = {Axis::dp};
  graph.type(x).layout.add_partial({Axis::tp, Combine::sum});
  graph.add_output("y", PortKind::activation,
                   apply<Contract>(graph, {"b s e, f e -> b s f", DType::bf16}, {x, w}));
  const auto text = print(graph);
  EXPECT_EQ(print(parse_graph(text, find_op)), text) << text;
  EXPECT_THROW(parse_graph("graph g {\n  %1: f32[a2] = add(%0, %0) {} @forward x\n}\n", find_op),
               InputError);
}

TEST(DimRule, SplitDimsLeavePartialsByTheirKind) {
  const DimRule rule = dim_rule("b s [e], v [e], b s -> lse: b s, one: b s");
  const Assignment over_tp = {{'v', {Axis::tp}}};
  EXPECT_EQ(input_layout(rule, 1, over_tp).split[0], std::vector<Axis>{Axis::tp});
  EXPECT_EQ(output_layout(rule, 0, over_tp).partial,
            (std::vector<Partial>{{Axis::tp, Combine::lse}}));
  EXPECT_EQ(output_layout(rule, 1, over_tp).partial,
            (std::vector<Partial>{{Axis::tp, Combine::one}}));
  EXPECT_TRUE(rule.is_whole('e'));
}

TEST(Digits, SumsDoNotDependOnOrder) {
  const double values[] = {1e-9, 3.25, -7e3, 0.1, 123456.789};
  std::array<std::int64_t, 4> up{}, down{};
  for (int i = 0; i < 5; ++i) Digits::add(values[i], up), Digits::add(values[4 - i], down);
  EXPECT_EQ(up, down);
  EXPECT_NEAR(Digits::value(up), 1e-9 + 3.25 - 7e3 + 0.1 + 123456.789, 1e-9);
  Digits::add(INFINITY, up);
  EXPECT_TRUE(std::isnan(Digits::value(up)));
}

}  // namespace
}  // namespace autarky
