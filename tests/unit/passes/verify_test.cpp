// A program that is broken on purpose, for every check of the verifier.
#include <gtest/gtest.h>

#include "ops/add.h"
#include "ops/elementwise.h"
#include "ops/gates.h"
#include "ops/movement.h"
#include "unit/passes/broken_programs.h"

namespace autarky {
namespace {

TEST(Verify, NamesTheProgramAndThePass) {
  Program p = program_after(Pass::autodiff);
  block(p, "layer").nodes[0].in[0] = block(p, "layer").nodes[1].out[0];
  expect_broken(p, {"llama.step after autodiff: block layer, "});
}

TEST(VerifyGraph, ValuesAreGivenOnceAndBeforeUse) {
  Program p = program_after(Pass::autodiff);
  block(p, "layer").nodes[0].in[0] = block(p, "layer").nodes[1].out[0];
  expect_broken(p, {"the graph is broken: %", " is used before it is made"});

  p = program_after(Pass::autodiff);
  block(p, "layer").nodes[1].out[0] = block(p, "layer").nodes[0].out[0];
  expect_broken(p, {" is made twice"});

  p = program_after(Pass::autodiff);
  Graph& g = block(p, "layer");
  g.inputs[1].value = g.inputs[0].value;
  expect_broken(p, {"block layer: the graph is broken: input ", " again"});

  p = program_after(Pass::autodiff);
  block(p, "layer").new_value(Type(DType::f32, {}));
  expect_broken(p, {"no port and no node gives %"});

  p = program_after(Pass::autodiff);
  block(p, "layer").add_output("z", PortKind::activation, {100000});
  expect_broken(p, {"output z is never made"});
}

TEST(VerifyGraph, NamesAreWordsAndUnlike) {
  Program p = program_after(Pass::autodiff);
  block(p, "layer").inputs[0].name = "two words";
  expect_broken(p, {"port name 'two words' is not a word"});

  p = program_after(Pass::autodiff);
  block(p, "layer").inputs[0].name = block(p, "layer").inputs[1].name;
  expect_broken(p, {"block layer: the graph is broken: two ports '"});

  p = program_after(Pass::autodiff);
  block(p, "layer").name = "";
  expect_broken(p, {"its name is not a word"});

  p = program_after(Pass::autodiff);
  block(p, "layer").name = "embed";
  expect_broken(p, {"block embed: the graph is broken: two blocks have this name"});

  p = program_after(Pass::autodiff);
  p.name = "";
  expect_broken(p, {"the program's name '' is not a word"});

  p = program_after(Pass::schedule);
  p.buffers[0].name = "a, b";
  expect_broken(p, {"buffer name 'a, b' is not a word"});

  p = program_after(Pass::schedule);
  p.buffers[0].name = p.buffers[1].name;
  expect_broken(p, {"two buffers have the name "});
}

TEST(VerifyGraph, ResultsHaveTheTypesOfTheRule) {
  Program p = program_after(Pass::autodiff);
  Graph& g = block(p, "layer");
  g.type(node(g, "contract").out[0]).dims[0].extent += 1;
  expect_broken(p, {"block layer, contract (decoder.cpp:", "but the rule says"});

  p = program_after(Pass::autodiff);
  Node& n = node(block(p, "layer"), "contract");
  n.out.push_back(block(p, "layer").new_value(Type(DType::f32, {})));
  expect_broken(p, {"wrong number of results"});
}

TEST(VerifyAutodiff, NothingIsSplitOrMovedYet) {
  Program p = program_after(Pass::autodiff, 2);
  block(p, "layer").values[0].layout.split[0] = {Axis::tp};
  expect_broken(
      p,
      {"block layer: the graph is broken: bf16[b1 s16 e384]{b:tp} has a layout before partition"});

  p = program_after(Pass::autodiff, 2);
  Graph& g = block(p, "layer");
  apply<AllReduce>(g, {Axis::tp, Combine::sum}, {g.inputs[0].value});
  expect_broken(p, {"all_reduce moves a value before partition"});
}

TEST(VerifyAutodiff, BlocksOnlyBeforeSchedule) {
  Program p = program_after(Pass::autodiff);
  p.calls.push_back({});
  expect_broken(p, {"the program has calls or buffers before schedule"});
}

TEST(VerifyJoint, TheForwardReadsNothingOfTheBackward) {
  for (const Pass pass : {Pass::autodiff, Pass::partition}) {
    Program p = program_after(pass);
    Graph& g = block(p, "layer");
    g.nodes.back().phase = Phase::forward;
    expect_broken(
        p, {"block layer: the graph is broken: ", " of the forward reads %", " of the backward"});
  }
}

TEST(VerifyJoint, EveryGradientHasItsAccumulator) {
  Program p = program_after(Pass::autodiff);
  Graph& g = block(p, "layer");
  for (auto& port : g.inputs)
    if (port.kind == PortKind::grad) port.name = "other." + port.name;
  expect_broken(p, {"grad.", " has no accumulator"});

  p = program_after(Pass::autodiff);
  Graph& h = block(p, "layer");
  const Port* grad = nullptr;
  for (auto& port : h.outputs)
    if (port.kind == PortKind::grad) grad = &port;
  input(h, grad->name).value = h.add_input("narrow", PortKind::grad, Type(DType::bf16, {{'e', 4}}));
  h.inputs.pop_back();
  Graph whole = h;
  expect_message([&] { verify_joint(whole); }, {", its accumulator bf16[e4]"});
}

TEST(VerifyLayouts, AnAxisIsInTheMeshUsedOnceAndDivides) {
  Program p = program_after(Pass::partition, 2, 2);
  block(p, "layer").values[0].layout.split[1] = {Axis::cp};
  expect_broken(p, {"the layouts are broken: the mesh has no cp"});

  p = program_after(Pass::partition, 2, 2);
  block(p, "layer").values[0].layout.split[1] = {Axis::dp};
  expect_broken(p, {"block layer, %0: ", "{b:dp s:dp}: the layouts are broken: dp is used twice"});

  p = program_after(Pass::partition, 2, 2);
  block(p, "layer").values[0].layout.add_partial({Axis::dp, Combine::sum});
  expect_broken(p, {"dp is used twice"});

  Graph g;
  g.name = "odd";
  Type type(DType::f32, {{'b', 3}});
  type.layout.split[0] = {Axis::dp};
  g.add_input("x", PortKind::activation, type);
  expect_message([&] { verify_layouts(g, p.mesh); },
                 {"block odd, %0: f32[b3]{b:dp}: the layouts are broken: dim 'b' does not divide"});
}

TEST(VerifyLayouts, MovementsChangeWhatTheySay) {
  Program p = program_after(Pass::partition, 2, 2);
  Graph& g = block(p, "layer");
  Node& reduce = node(g, "all_reduce");
  g.type(reduce.out[0]).layout = g.type(reduce.in[0]).layout;
  expect_broken(p, {"block layer, all_reduce (", "it makes {b:dp} of bf16", "not {b:dp | tp=sum}"});

  p = program_after(Pass::partition, 2, 2);
  Node& other = node(block(p, "layer"), "all_reduce");
  other.attrs = AllReduce::Attrs{Axis::dp, Combine::sum};
  expect_broken(p, {"the layouts are broken: it does not apply to bf16"});
}

Graph graph_of_two(const Layout& left, const Layout& right) {
  Graph g;
  g.name = "two";
  Type type(DType::f32, {{'b', 4}, {'e', 8}});
  type.layout = left;
  const Value a = g.add_input("a", PortKind::activation, type);
  type.layout = right;
  const Value b = g.add_input("b", PortKind::activation, type);
  g.add_output("y", PortKind::activation, apply<Add>(g, {}, {a, b}));
  g.type(g.outputs[0].value).layout = left;
  return g;
}

TEST(VerifyLayouts, OperandsAreSplitAlikeAndPartialOnlyWhereLinear) {
  Mesh mesh;
  mesh.size(Axis::tp) = mesh.size(Axis::dp) = 2;
  const Layout whole{{{}, {}}, {}, {}}, split{{{Axis::dp}, {}}, {}, {}},
      partial{{{}, {}}, {{Axis::tp, Combine::sum}}, {}};
  EXPECT_NO_THROW(verify_layouts(graph_of_two(partial, partial), mesh));
  expect_message([&] { verify_layouts(graph_of_two(whole, split), mesh); },
                 {"dim 'b' of input 1 is not split as in another input"});
  expect_message([&] { verify_layouts(graph_of_two(partial, whole), mesh); },
                 {"inputs 0 and 1 are not partial alike"});
  Graph g = graph_of_two(whole, whole);
  g.type(g.outputs[0].value).layout = split;
  expect_message([&] { verify_layouts(g, mesh); },
                 {"result 0 is {b:dp}, but the rule leaves it whole"});

  Program p = program_after(Pass::partition, 2, 2);
  Graph& layer = block(p, "layer");
  Node& norm = node(layer, "rms_norm");
  layer.type(norm.in[0]).layout.split[2] = {Axis::tp};
  expect_broken(p, {"dim 'e' of input 0 must be whole"});
  layer.type(norm.in[0]).layout =
      border_layout(layer.type(norm.in[0]), default_rules(false), p.mesh);
  layer.type(norm.in[0]).layout.add_partial({Axis::tp, Combine::sum});
  expect_broken(p, {"input 0 is partial, and the operation is not linear in it"});
}

TEST(VerifyCut, ForwardBlocksAreForwardAndKeepWhatIsRead) {
  Program p = program_after(Pass::recompute);
  block(p, "layer.F").nodes[0].phase = Phase::backward;
  expect_broken(p, {"block layer.F: the graph is broken: ", " is of the backward"});

  const auto saved = [](Graph& g) -> Port& {
    for (auto& port : g.outputs)
      if (port.kind == PortKind::saved) return port;
    throw Error("nothing is kept");
  };
  for (const Pass pass : {Pass::recompute, Pass::fuse}) {
    p = program_after(pass);
    saved(block(p, "layer.F")).name = "forgotten";
    expect_broken(p, {"block layer.B", "saved.", " is read and layer.F does not keep it"});
  }
  p = program_after(Pass::recompute);
  Graph& f = block(p, "layer.F");
  const std::string name = saved(f).name;
  saved(f).value = f.inputs[0].value;
  block(p, "layer.B").type(input(block(p, "layer.B"), name).value);
  expect_broken(p, {"block layer.B: the graph is broken: " + name + " is ", "but layer.F keeps"});
}

}  // namespace
}  // namespace autarky
