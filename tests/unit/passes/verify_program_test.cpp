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

std::vector<Program> three_stages() {
  StepOptions o = small_options(1, 1, 3);
  o.last_pass = Pass::schedule;
  return small_stages(o);
}

TEST(VerifyStages, EverySendHasItsReceive) {
  const auto expect = [](std::vector<Program> stages,
                         std::initializer_list<std::string_view> parts) {
    expect_message([&] { verify_stages(stages); }, parts);
  };
  auto stages = three_stages();
  stages[0].calls.erase(stages[0].calls.begin() + std::ptrdiff_t(call_of(stages[0], "send.y", 3)));
  expect(stages,
         {"stage 1, call ", "(receive.x): the stages do not fit: stage 0 does not send it"});

  stages = three_stages();
  stages[0].calls.erase(stages[0].calls.begin() +
                        std::ptrdiff_t(call_of(stages[0], "receive.dy", 3)));
  expect(stages,
         {"stage 1, call ", "(send.dx): the stages do not fit: stage 0 does not receive it"});

  stages = three_stages();
  std::swap(stages[2].calls[call_of(stages[2], "receive.x", 0)].microbatch,
            stages[2].calls[call_of(stages[2], "receive.x", 1)].microbatch);
  expect(stages,
         {"stage 2, call ", "it receives micro-batch 1 as bf16", "stage 1 sends micro-batch 0"});

  stages = three_stages();
  stages[1].buffers[std::size_t(stages[1].find_buffer("act.1.0"))].type.dtype = DType::f32;
  expect(stages, {"it receives micro-batch 0 as f32", "but stage 0 sends micro-batch 0 as bf16"});

  stages = three_stages();
  stages.pop_back();
  expect(stages, {"stage 1, call ", "(send.y): the stages do not fit: there is no stage 2"});
}

// Stage 0 takes its gradient before it sends what that is the gradient of.
TEST(VerifyStages, DoNotWaitForEachOtherInACircle) {
  auto stages = three_stages();
  Program& p = stages[0];
  const auto at = call_of(p, "receive.dy");
  const Call receive = p.calls[at];
  p.calls.erase(p.calls.begin() + std::ptrdiff_t(at));
  p.calls.insert(p.calls.begin() + std::ptrdiff_t(call_of(p, "send.y")), receive);
  expect_message([&] { verify_stages(stages); },
                 {"stage 0, call ",
                  "(receive.dy): the stages do not fit: the stages wait for each "
                  "other in a circle"});
}

}  // namespace
}  // namespace autarky
