// Stages of a pipeline that are broken on purpose.
#include <gtest/gtest.h>

#include "unit/passes/broken_programs.h"

namespace autarky {
namespace {

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
  expect(stages, {"stage 2, call ", "it receives act.2.0 of micro-batch 1 as bf16",
                  "stage 1 sends act.2.0 of micro-batch 0"});

  stages = three_stages();
  stages[1].buffers[std::size_t(stages[1].find_buffer("act.1.0"))].type.dtype = DType::f32;
  expect(stages, {"it receives act.1.0 of micro-batch 0 as f32",
                  "but stage 0 sends act.1.0 of micro-batch 0 as bf16"});

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
