// Which messages are joined, and that nothing else changes.
#include "passes/bucket.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/accumulate.h"
#include "ops/add.h"
#include "ops/movement.h"
#include "passes/convert.h"
#include "unit/passes/broken_programs.h"

namespace autarky {
namespace {

// A block over dp2 tp2 that tests write node by node.
struct Sample {
  Sample() { graph.name = "sample"; }

  Value in(const std::string& type) {
    return graph.add_input("in" + std::to_string(graph.inputs.size()), PortKind::grad,
                           parse_type(type));
  }
  void out(Value v) {
    graph.add_output("out" + std::to_string(graph.outputs.size()), PortKind::grad, v);
  }
  Value converted(Value v, const std::string& to) {
    return convert_layout(graph, v, parse_type(to).layout, "bucket_test");
  }
  // A value converted and given.
  void moves(const std::string& from, const std::string& to) { out(converted(in(from), to)); }

  // The nodes after the pass, a collective with the number of its operands.
  std::string filled() {
    Mesh mesh;
    mesh.size(Axis::dp) = mesh.size(Axis::tp) = 2;
    fill_buckets(graph, mesh);
    verify(graph);
    verify_layouts(graph, mesh);
    std::string text;
    for (const Node& n : graph.nodes) {
      if (!text.empty()) text += ' ';
      text += n.op->name;
      if (n.op->movement == Movement::collective) text += ':' + std::to_string(n.in.size());
    }
    return text;
  }

  Graph graph;
};

TEST(Buckets, JoinSmallCollectivesOfOneKind) {
  Sample s;
  s.moves("f32[e8]{| dp=sum}", "f32[e8]");
  s.moves("f32[f9 e8]{| dp=sum}", "f32[f9 e8]");
  s.moves("f32[]{| dp=sum}", "f32[]");
  EXPECT_EQ(s.filled(), "all_reduce:3");
  const Node& joined = s.graph.nodes[0];
  for (std::size_t i = 0; i < 3; ++i) {  // every port gives what it gave
    EXPECT_EQ(joined.in[i], s.graph.inputs[i].value);
    EXPECT_EQ(joined.out[i], s.graph.outputs[i].value);
  }
  EXPECT_EQ(s.filled(), "all_reduce:3");  // again changes nothing
}

TEST(Buckets, JoinFlatLayoutsOfUnlikeParameters) {
  Sample gather;
  gather.moves("f32[e9000]{*:dp}", "f32[e9000]");
  gather.moves("f32[f3 e9000]{*:dp}", "f32[f3 e9000]");
  EXPECT_EQ(gather.filled(), "all_gather:2");
  Sample scatter;
  scatter.moves("f32[e9000]{| dp=sum}", "f32[e9000]{*:dp}");
  scatter.moves("f32[f3 e9000]{| dp=sum}", "f32[f3 e9000]{*:dp}");
  EXPECT_EQ(scatter.filled(), "reduce_scatter:2");
}

TEST(Buckets, LeaveApartWhatIsNotAlike) {
  Sample s;
  s.moves("f32[e8]{| dp=sum}", "f32[e8]");
  s.moves("f32[e8]{| tp=sum}", "f32[e8]");         // another axis
  s.moves("f32[e8]{| dp=max}", "f32[e8]");         // other sums
  s.moves("i64[e8]{| dp=sum}", "i64[e8]");         // another element type
  s.moves("f32[e8]{e:dp}", "f32[e8]");             // another operation
  s.moves("f32[f8 e8]{f:tp e:dp}", "f32[f8 e8]");  // another dim; and a whole one of tp
  s.moves("f32[e16]{| dp=sum}", "f32[e16]");       // a letter with another extent
  EXPECT_EQ(s.filled(),
            "all_reduce:1 all_reduce:1 all_reduce:1 all_reduce:1 all_gather:1 all_gather:1 "
            "all_gather:1 all_reduce:1");
}

TEST(Buckets, AreFullAtTheFloor) {
  const auto of = [](std::int64_t bytes) { return "f32[e" + std::to_string(bytes / 4) + "]"; };
  const auto moves = [&](Sample& s, std::int64_t bytes) {
    s.moves(of(bytes) + "{| dp=sum}", of(bytes));
  };
  Sample large;  // two that are no small messages
  for (int i = 0; i < 2; ++i) moves(large, kBucketBytes);
  EXPECT_EQ(large.filled(), "all_reduce:1 all_reduce:1");
  Sample many;
  for (int i = 0; i < 6; ++i) moves(many, kBucketBytes / 2 - 4);
  EXPECT_EQ(many.filled(), "all_reduce:3 all_reduce:3");
}

TEST(Buckets, MeasureWhatARankMoves) {
  Sample s;  // half of it on each rank of tp
  const std::string dims = "f32[f2 e" + std::to_string(kBucketBytes / 8) + "]";
  for (int i = 0; i < 2; ++i) s.moves(dims + "{f:tp | dp=sum}", dims + "{f:tp}");
  EXPECT_EQ(s.filled(), "all_reduce:2");
}

// Each value goes over dp and then over tp.
TEST(Buckets, KeepTheOrderOfWhatDependsOnEachOther) {
  Sample s;
  for (int i = 0; i < 3; ++i)
    s.out(
        s.converted(s.converted(s.in("f32[e8]{| dp=sum tp=sum}"), "f32[e8]{| tp=sum}"), "f32[e8]"));
  EXPECT_EQ(s.filled(), "all_reduce:3 all_reduce:3");
}

TEST(Buckets, DoNotWaitForEachOtherInACircle) {
  Sample s;
  const auto both = "f32[e8]{| dp=sum tp=sum}";
  s.out(s.converted(s.converted(s.in(both), "f32[e8]{| tp=sum}"), "f32[e8]"));
  s.out(s.converted(s.converted(s.in(both), "f32[e8]{| dp=sum}"), "f32[e8]"));
  EXPECT_EQ(s.filled(), "all_reduce:1 all_reduce:2 all_reduce:1");
}

TEST(Buckets, EndWhereAResultIsComputedWith) {
  Sample s;
  const Value a = s.converted(s.in("f32[e8]{| dp=sum}"), "f32[e8]");
  s.out(apply<Add>(s.graph, {}, {a, a}));
  s.moves("f32[e8]{| dp=sum}", "f32[e8]");
  EXPECT_EQ(s.filled(), "all_reduce:1 add all_reduce:1");
}

TEST(Buckets, AreSentWhenAllTheyMoveIsThere) {
  Sample s;
  s.moves("f32[e8]{| dp=sum}", "f32[e8]");
  const Value x = s.in("f32[e8]{| dp=sum}");
  const Value sum = apply<Add>(s.graph, {}, {x, x});
  s.graph.type(sum).layout = s.graph.type(x).layout;
  s.out(s.converted(sum, "f32[e8]"));
  EXPECT_EQ(s.filled(), "add all_reduce:2");
}

// ZeRO 2: each gradient is reduced and added before the next one is made.
TEST(Buckets, TakeSumsAndSlicesAlong) {
  Sample s;
  for (int i = 0; i < 2; ++i) {
    const Value sum = s.in("f32[e9000]{*:dp}");
    const Value part = s.converted(s.in("f32[e9000]{| dp=sum}"), "f32[e9000]{*:dp}");
    s.out(apply<Accumulate>(s.graph, {}, {sum, part}));
    s.graph.type(s.graph.outputs.back().value).layout = s.graph.type(sum).layout;
  }
  EXPECT_EQ(s.filled(), "reduce_scatter:2 accumulate accumulate");
}

// Messages of a step, and the values and bytes that they carry.
struct Traffic {
  int messages = 0, values = 0;
  std::int64_t bytes = 0;
};
Traffic traffic(const Program& p) {
  Traffic all;
  for (const Call& call : p.calls) {
    const Graph& g = p.blocks[std::size_t(call.block)].graph;
    for (const Node& n : g.nodes) {
      if (!queue_of(n).axis) continue;
      ++all.messages;
      for (std::size_t i = 0; i < n.in.size(); ++i, ++all.values)
        all.bytes += std::max(local_type(g.type(n.in[i]), p.mesh).bytes(),
                              local_type(g.type(n.out[i]), p.mesh).bytes());
    }
  }
  return all;
}

int count(Program& p, const std::string& name, std::string_view op) {
  const auto& nodes = block(p, name).nodes;
  return int(
      std::count_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.op->name == op; }));
}

Program over_two(const char* preset, int zero_stage, Pass last, int tp = 1) {
  StepOptions o = small_options(tp, 2, 1);
  o.zero_stage = zero_stage;
  o.update = true;
  o.last_pass = last;
  return small_stages(o, preset)[0];
}

class BucketsOfAStep : public testing::TestWithParam<int> {};

TEST_P(BucketsOfAStep, CarryTheSameInFewerMessages) {
  const Traffic apart = traffic(over_two("llama-17m", GetParam(), Pass::schedule)),
                joined = traffic(over_two("llama-17m", GetParam(), Pass::bucket));
  EXPECT_EQ(apart.messages, apart.values);
  EXPECT_EQ(joined.values, apart.values);
  EXPECT_EQ(joined.bytes, apart.bytes);
  EXPECT_LT(joined.messages, apart.messages);
}

INSTANTIATE_TEST_SUITE_P(Zero, BucketsOfAStep, testing::Values(0, 1, 2, 3));

// A layer of GPT-2: two norms and four matrices, all with biases; q, k and v are apart.
TEST(Buckets, OfALayersNormsAndBiasesAreOneMessage) {
  Program p = over_two("gpt2-124m", 1, Pass::bucket);
  EXPECT_EQ(count(p, "reduce.layer", "all_reduce"), 1);
  EXPECT_EQ(count(p, "reduce.layer", "reduce_scatter"), 6);  // q k v o and the two of the MLP
  EXPECT_EQ(node(block(p, "reduce.layer"), "all_reduce").in.size(), 10u);
  EXPECT_EQ(count(p, "optimizer.layer", "all_gather"), 6);
}

// On a rank of tp2: four matrices of 147 kB, two of which are a message, and three of 393 kB.
TEST(Buckets, OfGatheredParametersAreFullMessages) {
  Program apart = over_two("llama-17m", 3, Pass::schedule, 2),
          joined = over_two("llama-17m", 3, Pass::bucket, 2);
  EXPECT_EQ(count(apart, "gather.layer.F", "all_gather"), 7);
  EXPECT_EQ(count(joined, "gather.layer.F", "all_gather"), 5);
}

TEST(Buckets, OperandsOfANodeAreVerifiedEach) {
  Program p = over_two("gpt2-124m", 1, Pass::bucket);
  Graph& g = block(p, "reduce.layer");
  const Value third = node(g, "all_reduce").out[2];
  g.type(third).layout.add_partial({Axis::dp, Combine::sum});
  expect_broken(p,
                {"block reduce.layer, all_reduce (", "it makes whole of f32[", "not {| dp=sum}"});

  p = over_two("gpt2-124m", 1, Pass::bucket);
  node(block(p, "reduce.layer"), "all_reduce").out.pop_back();
  expect_broken(p, {"wrong number of results"});
}

}  // namespace
}  // namespace autarky
