// Calls, memory plans and stages that are broken on purpose.
#include <gtest/gtest.h>

#include "unit/passes/broken_programs.h"

namespace autarky {
namespace {

TEST(VerifyCalls, PortsHaveBuffersOfTheirTypes) {
  Program p = program_after(Pass::schedule);
  p.calls[1].inputs.pop_back();
  expect_broken(p, {"call 1 (embed.F): the calls are broken: ", " ports have "});

  p = program_after(Pass::schedule);
  p.calls[1].inputs[0] = -1;
  expect_broken(p, {" has no buffer"});

  p = program_after(Pass::schedule);
  buffer(p, "tokens.0").type.dtype = DType::i64;
  expect_broken(p, {"port tokens is i32[", "its buffer tokens.0 is i64["});

  p = program_after(Pass::schedule);
  p.calls[1].block = 99;
  expect_broken(p, {"call 1 (no block): the calls are broken: there is no block 99"});

  p = program_after(Pass::schedule);
  Graph& g = block(p, "zero");
  g.nodes.clear();
  g.values.clear();
  g.inputs.clear();
  g.outputs.clear();
  expect_broken(p, {"its block does nothing"});
}

TEST(VerifyCalls, WaitsNameEarlierCallsAndAreComplete) {
  Program p = program_after(Pass::schedule);
  p.calls[1].waits = {1};
  expect_broken(p, {"it waits for call 1, which is not earlier"});

  p = program_after(Pass::schedule, 1, 2);
  for (auto& call : p.calls) call.waits.clear();
  expect_broken(p, {"it does not wait for call ", "in another queue"});

  p = program_after(Pass::schedule);
  buffer(p, "tokens.0").same_as = 50;
  expect_broken(p, {"buffer tokens.0 has the memory of a later one"});
}

TEST(VerifyCalls, NothingIsReadBeforeItIsMade) {
  Program p = program_after(Pass::schedule);
  p.calls.erase(p.calls.begin() + std::ptrdiff_t(call_of(p, "layer.F")));
  for (auto& call : p.calls) call.waits.clear();
  expect_broken(p, {"act.1.0 is read before it is made"});

  // Without the call that opens a lane, gradients would be added to what was there.
  p = program_after(Pass::schedule);
  p.calls.erase(p.calls.begin() + std::ptrdiff_t(call_of(p, "embed.B.first")));
  expect_broken(p, {"(embed.B): the calls are broken: grad.embed.", " is read before it is made"});
}

TEST(VerifyCalls, BackwardsOfALayerRiseInMicroBatch) {
  for (const std::string name : {"layer.B", "embed.B", "head.FB"}) {
    Program p = program_after(Pass::schedule);
    p.calls[call_of(p, name)].microbatch = 0;  // that of the call before it, a ".first"
    expect_broken(p, {"(" + name + "): the calls are broken: micro-batch 0 comes after 0"});
  }
}

TEST(VerifyMemory, LifetimesAndSizesAreTheProgramsOwn) {
  Program p = program_after(Pass::memory);
  buffer(p, "act.1.0").last -= 1;
  expect_broken(p, {"buffer act.1.0: the memory plan is broken: it is used in calls "});

  p = program_after(Pass::memory);
  buffer(p, "act.1.0").bytes -= 1;
  expect_broken(p, {"buffer act.1.0: the memory plan is broken: it has ", " bytes, its type "});
}

TEST(VerifyMemory, BuffersLieInTheirPartAndApart) {
  Program p = program_after(Pass::memory);
  buffer(p, "act.1.0").offset = 0;
  expect_broken(
      p, {"buffer act.1.0: the memory plan is broken: 0 .. ", "not in its part of the arena"});

  p = program_after(Pass::memory);
  buffer(p, "act.1.0").offset += 4;
  expect_broken(p, {"is no multiple of 64"});

  p = program_after(Pass::memory);
  buffer(p, "act.1.0").offset = buffer(p, "act.2.0").offset;
  expect_broken(p, {"the memory plan is broken: it meets act."});

  p = program_after(Pass::memory);
  buffer(p, "tokens.1").offset = buffer(p, "tokens.0").offset;
  expect_broken(p, {"buffer tokens.1: the memory plan is broken: it meets tokens.0 in memory"});

  p = program_after(Pass::memory, 1, 2);
  for (auto& b : p.buffers)
    if (b.same_as >= 0) b.offset += 64;
  expect_broken(p, {"buffer reduced.", "it does not lie in the memory of grad."});
}

TEST(VerifyMemory, ValuesAndScratchLieInTheirFrame) {
  const auto frame = [](Program& p) -> Frame& {
    return p.blocks[std::size_t(p.find_block("layer.F"))].frame;
  };
  Program p = program_after(Pass::memory);
  frame(p).offsets.erase(frame(p).offsets.begin());
  expect_broken(p, {"frame of layer.F: the memory plan is broken: %", " has no place"});

  p = program_after(Pass::memory);
  frame(p).offsets.begin()->second = frame(p).bytes;
  expect_broken(p, {" ends at "});

  p = program_after(Pass::memory);
  frame(p).scratch[0] = frame(p).bytes;
  expect_broken(p, {"the scratch of node 0 is outside"});

  p = program_after(Pass::memory);
  frame(p).scratch.pop_back();
  expect_broken(p, {"nodes are not planned"});

  p = program_after(Pass::memory);
  p.frame_bytes = 1;
  expect_broken(p, {"bytes are more than the program's 1"});
}

}  // namespace
}  // namespace autarky
