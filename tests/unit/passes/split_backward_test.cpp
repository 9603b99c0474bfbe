// The backward of the zero-bubble schedule: gradients of weights are a block of their own.
#include <gtest/gtest.h>

#include <set>

#include "unit/passes/broken_programs.h"

namespace autarky {
namespace {

Program stage_of(PipelineSchedule schedule, Recompute recompute, int stage, int tp = 1) {
  StepOptions o = small_options(tp, 1, 2);
  o.schedule = schedule;
  o.recompute = recompute;
  o.last_pass = Pass::fuse;
  return small_stages(o, "gpt2-124m")[std::size_t(stage)];
}

std::multiset<std::string> outputs(Program& p, const std::string& name, PortKind kind) {
  std::multiset<std::string> names;
  if (p.find_block(name) < 0) return names;
  for (const auto& port : block(p, name).outputs)
    if (port.kind == kind) names.insert(port.name);
  return names;
}

int count(Program& p, const std::string& name, std::string_view op) {
  int n = 0;
  for (const auto& node : block(p, name).nodes) n += node.op->name == op;
  return n;
}

class SplitBackward : public testing::TestWithParam<Recompute> {
 protected:
  Program whole_ = stage_of(PipelineSchedule::one_f_one_b, GetParam(), 0);
  Program split_ = stage_of(PipelineSchedule::zero_bubble, GetParam(), 0);
};

TEST_P(SplitBackward, TheForwardStaysAsItIs) {
  EXPECT_EQ(print(block(split_, "layer.F")), print(block(whole_, "layer.F")));
  EXPECT_EQ(print(block(split_, "embed.F")), print(block(whole_, "embed.F")));
}

TEST_P(SplitBackward, EveryGradientIsMadeOnce) {
  for (const std::string part : {"layer", "embed"}) {
    auto made = outputs(split_, part + ".B", PortKind::grad);
    made.merge(outputs(split_, part + ".W", PortKind::grad));
    EXPECT_EQ(made, outputs(whole_, part + ".B", PortKind::grad));
  }
  EXPECT_EQ(outputs(split_, "layer.B", PortKind::activation), std::multiset<std::string>{"dx"});
  EXPECT_TRUE(outputs(split_, "layer.W", PortKind::activation).empty());
  EXPECT_EQ(split_.find_block("embed.B"), -1);  // it has nothing but weights
}

// The gradients of the six matrices of a layer are apart; norms' come with those of inputs.
TEST_P(SplitBackward, MatricesAreApart) {
  EXPECT_EQ(outputs(split_, "layer.W", PortKind::grad).size(), 12u);  // and their biases
  EXPECT_EQ(outputs(split_, "layer.B", PortKind::grad).size(), 4u);   // two norms
  EXPECT_EQ(count(split_, "layer.W", "attention"), 0);
  EXPECT_EQ(count(split_, "layer.W", "attention_grad"), 0);
  if (GetParam() != Recompute::none) return;
  EXPECT_EQ(count(split_, "layer.W", "contract"), 6);
  EXPECT_EQ(count(split_, "layer.B", "contract"), 6);
  EXPECT_EQ(count(whole_, "layer.B", "contract"), 12);
}

// Products are not repeated for the weights, whatever is made again for the inputs.
TEST_P(SplitBackward, NoProductRunsOftenerThanWithoutASplit) {
  EXPECT_EQ(count(split_, "layer.B", "contract") + count(split_, "layer.W", "contract"),
            count(whole_, "layer.B", "contract"));
}

INSTANTIATE_TEST_SUITE_P(Recompute, SplitBackward,
                         testing::Values(Recompute::none, Recompute::selective, Recompute::full),
                         [](const auto& test) { return std::string(recompute_name(test.param)); });

TEST(VerifyCut, WhatTheWeightsReadIsKept) {
  Program p = stage_of(PipelineSchedule::zero_bubble, Recompute::selective, 1, 2);
  for (auto& port : block(p, "layer.B").outputs)
    if (port.kind == PortKind::saved) port.name = "forgotten." + port.name;
  expect_broken(p, {"block layer.W", "saved.", " is read and layer.F or layer.B does not keep it"});
}

}  // namespace
}  // namespace autarky
