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

// The same in every schedule, with a table of two uses.
class VerifyEverySchedule : public testing::TestWithParam<PipelineSchedule> {
 protected:
  std::vector<Program> stages_ = [] {
    StepOptions o = small_options(1, 1, 2);
    o.schedule = GetParam();
    o.chunks = o.schedule == PipelineSchedule::interleaved ? 2 : 1;
    o.last_pass = Pass::schedule;
    return small_stages(o, "gpt2-124m");
  }();

  static const std::string& name_of(const Program& p, const Call& call) {
    return p.blocks[std::size_t(call.block)].graph.name;
  }
  static std::size_t of(const Program& p, std::string_view name, int layer, int microbatch) {
    for (std::size_t i = 0; i < p.calls.size(); ++i)
      if (name_of(p, p.calls[i]).starts_with(name) && p.calls[i].layer == layer &&
          p.calls[i].microbatch == microbatch)
        return i;
    throw Error("the test finds no such call").at(name);
  }
  static void erase(Program& p, std::size_t call) {
    p.calls.erase(p.calls.begin() + std::ptrdiff_t(call));
    connect(p);  // waits name calls by number
  }
  static void move(Program& p, std::size_t from, std::size_t to) {
    const Call call = p.calls[from];
    erase(p, from);
    p.calls.insert(p.calls.begin() + std::ptrdiff_t(to), call);
    connect(p);
  }
};

TEST_P(VerifyEverySchedule, NoMessageMayBeMissing) {
  EXPECT_NO_THROW(verify_stages(stages_));
  int messages = 0;
  for (std::size_t s = 0; s < stages_.size(); ++s)
    for (std::size_t i = 0; i < stages_[s].calls.size(); ++i) {
      const std::string name = name_of(stages_[s], stages_[s].calls[i]);
      if (!name.starts_with("send.") && !name.starts_with("receive.")) continue;
      ++messages;
      const Call call = stages_[s].calls[i];
      erase(stages_[s], i);
      expect_message([&] { verify_stages(stages_); }, {"the stages do not fit: "});
      stages_[s].calls.insert(stages_[s].calls.begin() + std::ptrdiff_t(i), call);
    }
  const int borders = GetParam() == PipelineSchedule::interleaved ? 3 : 1;
  EXPECT_EQ(messages, 2 * (borders * 4 * 2 + 2));  // both ends; 4 micro-batches; the table
}

TEST_P(VerifyEverySchedule, StagesDoNotWaitInACircle) {
  // Here activations of the next chunk come on the same way as gradients.
  const bool mixed = GetParam() == PipelineSchedule::interleaved;
  auto stages = stages_;
  move(stages[0], call_of(stages[0], "receive.dy"), call_of(stages[0], "send.y"));
  expect_message([&] { verify_stages(stages); },
                 {"stage 0, call ", mixed ? "(receive.dy): the stages do not fit: it receives dact."
                                          : "(receive.dy): the stages do not fit: the stages wait "
                                            "for each other in a circle"});

  // The last stage wants the updated table before it gives its part of the gradient.
  stages = stages_;
  move(stages[1], call_of(stages[1], "receive.table"), call_of(stages[1], "send.tie"));
  expect_message([&] { verify_stages(stages); },
                 {"(receive.tie): the stages do not fit: the stages wait for each other"});
}

TEST_P(VerifyEverySchedule, MessagesOfALinkDoNotOvertakeEachOther) {
  Program& p = stages_[1];
  std::swap(p.calls[call_of(p, "receive.x", 0)], p.calls[call_of(p, "receive.x", 1)]);
  expect_message([&] { verify_stages(stages_); }, {"stage 1, call ", "it receives act."});
}

TEST_P(VerifyEverySchedule, GradientsAreSummedInRisingOrder) {
  const bool split = GetParam() == PipelineSchedule::zero_bubble;
  for (const std::string part : {"layer.B", "layer.W"}) {
    if (part == "layer.W" && !split) continue;
    Program p = stages_[0];
    std::swap(p.calls[of(p, part, 0, 1)].microbatch, p.calls[of(p, part, 0, 2)].microbatch);
    // Micro-batch 2 opens a lane.
    expect_broken(p, {"(" + part + ".first): the calls are broken: micro-batch 1 comes after 2"});
  }
}

TEST_P(VerifyEverySchedule, WhatIsKeptIsRead) {
  const bool split = GetParam() == PipelineSchedule::zero_bubble;
  Program p = stages_[1];
  const int layer = p.calls[call_of(p, "layer.F")].layer;
  erase(p, of(p, split ? "layer.W" : "layer.B", layer, 3));
  expect_message([&] { verify(p); }, {"the calls are broken: "});
}

INSTANTIATE_TEST_SUITE_P(All, VerifyEverySchedule,
                         testing::Values(PipelineSchedule::gpipe, PipelineSchedule::one_f_one_b,
                                         PipelineSchedule::interleaved,
                                         PipelineSchedule::zero_bubble),
                         [](const auto& test) {
                           std::string name(pipeline_schedule_name(test.param));
                           std::erase(name, '-');
                           return name;
                         });

TEST(VerifyCalls, WeightsComeAfterTheirBackward) {
  StepOptions o = small_options(1, 1, 2);
  o.schedule = PipelineSchedule::zero_bubble;
  o.last_pass = Pass::schedule;
  const Program whole = small_stages(o)[0];
  Program p = whole;
  const auto b = call_of(p, "layer.B"), w = call_of(p, "layer.W");
  ASSERT_EQ(p.calls[b].microbatch, p.calls[w].microbatch);
  std::swap(p.calls[b], p.calls[w]);
  connect(p);
  expect_broken(p, {"(layer.W): the calls are broken: layer.", " is read before it is made"});

  p = whole;
  p.calls.erase(p.calls.begin() + std::ptrdiff_t(w));
  connect(p);
  expect_message([&] { verify_calls(p); }, {" is kept and never read"});
}

}  // namespace
}  // namespace autarky
