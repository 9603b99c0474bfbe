#include "passes/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "passes/schedule_chart.h"

namespace autarky {
namespace {

using enum PipelineSchedule;
using enum SlotKind;

// Every kind with any number of stages, chunks and micro-batches.
template <class Body>
void each_schedule(Body&& body) {
  for (int stages = 1; stages <= 6; ++stages)
    for (int microbatches = 1; microbatches <= 13; ++microbatches) {
      for (const auto kind : {gpipe, one_f_one_b, zero_bubble})
        body(make_schedule(kind, stages, 1, microbatches));
      for (int chunks = 1; stages > 1 && chunks <= 4; ++chunks)
        body(make_schedule(interleaved, stages, chunks, microbatches));
    }
}

int units(const Schedule& s) {
  int end = 0;
  const auto times = time_slots(s);
  for (const auto& stage : times.value())
    end = std::max(end, stage.back().start + stage.back().length);
  return end;
}

// The most micro-batches that a stage holds activations of: forwards that `last` has not followed.
int most_in_flight(const Schedule& s, int stage, SlotKind last) {
  int now = 0, most = 0;
  for (const Slot& slot : s.stages[std::size_t(stage)]) {
    now += slot.kind == forward ? 1 : slot.kind == last ? -1 : 0;
    most = std::max(most, now);
  }
  return most;
}

TEST(Schedule, EveryStageDoesEverySlotOnceInRisingOrder) {
  each_schedule([](const Schedule& s) {
    for (const auto& stage : s.stages) {
      std::map<std::pair<SlotKind, int>, int> next;  // micro-batch, by kind and chunk
      for (const Slot& slot : stage) {
        const auto key = std::pair(slot.kind, slot.chunk);
        EXPECT_EQ(slot.microbatch, next[key]++);
        const auto before = slot.kind == weights ? backward : forward;
        EXPECT_TRUE(slot.kind == forward || slot.microbatch < (next[{before, slot.chunk}]));
      }
      EXPECT_EQ(next.size(), std::size_t(s.chunks * (s.splits_backward() ? 3 : 2)));
      for (const auto& [key, count] : next) EXPECT_EQ(count, s.microbatches);
    }
  });
}

TEST(Schedule, NoStagesWaitForEachOtherInACircle) {
  each_schedule([](const Schedule& s) {
    EXPECT_TRUE(time_slots(s).has_value())
        << pipeline_schedule_name(s.kind) << " of " << s.stages.size() << " stages, " << s.chunks
        << " chunks, " << s.microbatches << " micro-batches";
  });
}

TEST(Schedule, ACircleIsFound) {
  Schedule s = make_schedule(one_f_one_b, 2, 1, 2);
  std::swap(s.stages[1][0], s.stages[1][1]);  // the backward before its forward
  EXPECT_FALSE(time_slots(s).has_value());
}

// The published lengths, with forwards of 1 and backwards of 2 units, p stages, m micro-batches:
// (m + p - 1) (1 + 2); interleaved, in units of a chunk, 3 (v m + p - 1); ZB-H1 3 m + p - 1.
TEST(Schedule, BubblesAreThoseOfThePapers) {
  for (int p = 1; p <= 6; ++p)
    for (int m : {p, 2 * p, 3 * p}) {
      EXPECT_EQ(units(make_schedule(gpipe, p, 1, m)), 3 * (m + p - 1));
      EXPECT_EQ(units(make_schedule(one_f_one_b, p, 1, m)), 3 * (m + p - 1));
      EXPECT_EQ(units(make_schedule(zero_bubble, p, 1, m)), 3 * m + p - 1) << p << " " << m;
      for (int v = 2; p > 1 && v <= 3; ++v)
        EXPECT_EQ(units(make_schedule(interleaved, p, v, m)), 3 * (v * m + p - 1)) << p << m << v;
    }
}

TEST(Schedule, OneFOneBHoldsAsManyMicroBatchesAsThereAreStagesBehind) {
  for (int p = 1; p <= 5; ++p)
    for (int s = 0; s < p; ++s) {
      EXPECT_EQ(most_in_flight(make_schedule(gpipe, p, 1, 9), s, backward), 9);
      EXPECT_EQ(most_in_flight(make_schedule(one_f_one_b, p, 1, 9), s, backward), p - s);
      // Until the weights' gradients are there: no stage more than the first one of 1F1B.
      EXPECT_LE(most_in_flight(make_schedule(zero_bubble, p, 1, 9), s, weights), p);
    }
}

// What a stage sends is what its peer receives, in the same order, and before it is needed.
TEST(Schedule, MessagesArriveInTheOrderInWhichTheyAreSent) {
  each_schedule([](const Schedule& s) {
    const int n = int(s.stages.size());
    std::map<std::pair<int, int>, std::vector<std::tuple<bool, int, int>>> sent, received;
    for (int stage = 0; stage < n; ++stage) {
      std::set<std::tuple<bool, int, int>> there;
      for (const auto& step : with_messages(s, stage)) {
        if (const auto* m = std::get_if<Message>(&step)) {
          const auto what = std::tuple(m->gradient, m->border, m->microbatch);
          (m->sent ? sent[{stage, m->peer}] : received[{m->peer, stage}]).push_back(what);
          if (!m->sent) there.insert(what);
          continue;
        }
        const auto& slot = std::get<Slot>(step);
        const int part = slot.chunk * n + stage;
        const bool first = slot.kind == forward && part == 0;
        const bool last = slot.kind == backward && part + 1 == s.parts();
        const std::tuple needed(slot.kind == backward, slot.kind == backward ? part + 1 : part,
                                slot.microbatch);
        EXPECT_TRUE(first || last || slot.kind == weights || there.contains(needed));
      }
    }
    EXPECT_EQ(sent, received);
    std::size_t messages = 0;
    for (const auto& [link, list] : sent) messages += list.size();
    EXPECT_EQ(messages, std::size_t(2 * (s.parts() - 1) * s.microbatches));
  });
}

TEST(Schedule, NamesAreThoseOfRecipes) {
  for (const auto kind : {gpipe, one_f_one_b, interleaved, zero_bubble})
    EXPECT_EQ(parse_pipeline_schedule(pipeline_schedule_name(kind)), kind);
  EXPECT_EQ(parse_pipeline_schedule("1f1b"), one_f_one_b);
  EXPECT_FALSE(parse_pipeline_schedule("dualpipe").has_value());
}

// By hand.
TEST(ScheduleChart, ShowsSlotsInTheirUnitsOfTime) {
  EXPECT_EQ(print_schedule(make_schedule(zero_bubble, 2, 1, 2)),
            "zero-bubble: 2 stages, 2 micro-batches, 7 units, 14.3% idle\n"
            "stage 0  F0 F1 .  B0 W0 B1 W1\n"
            "stage 1  .  F0 B0 F1 B1 W0 W1\n");
  EXPECT_EQ(print_schedule(make_schedule(one_f_one_b, 2, 1, 1)),
            "1f1b: 2 stages, 1 micro-batch, 6 units, 50.0% idle\n"
            "stage 0  F0 .  .  .  B0 B0\n"
            "stage 1  .  F0 B0 B0 .  .\n");
  EXPECT_EQ(print_schedule(make_schedule(interleaved, 2, 2, 1)),
            "interleaved: 2 stages of 2 chunks, 1 micro-batch, 12 units, 50.0% idle\n"
            "stage 0  F0.0 .    F0.1 .    .    .    B0.1 B0.1 .    .    B0.0 B0.0\n"
            "stage 1  .    F0.0 .    F0.1 B0.1 B0.1 .    .    B0.0 B0.0 .    .\n");
}

TEST(ScheduleChart, DrawsEverySlotOnce) {
  const std::string svg = draw_schedule(make_schedule(interleaved, 2, 2, 3));
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  const auto count = [&](std::string_view part) {
    int n = 0;
    for (auto at = svg.find(part); at != svg.npos; at = svg.find(part, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count("<rect "), 2 * 2 * 3 * 2);
  EXPECT_EQ(count("<title>B2.1</title>"), 2);  // of both stages
  EXPECT_EQ(count("<g>"), count("</g>"));
}

}  // namespace
}  // namespace autarky
