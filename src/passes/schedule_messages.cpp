// What the slots of a schedule send and receive.
#include <algorithm>
#include <deque>
#include <map>

#include "base/error.h"
#include "passes/schedule.h"

namespace autarky {
namespace {

// What a slot needs from another stage.
std::optional<Message> needed(const Schedule& s, int stage, const Slot& slot) {
  const int n = int(s.stages.size()), part = s.part_of(stage, slot.chunk);
  if (slot.kind == SlotKind::forward && part > 0)
    return Message{false, false, part, slot.microbatch, (stage + n - 1) % n};
  if (slot.kind == SlotKind::backward && part + 1 < s.parts())
    return Message{false, true, part + 1, slot.microbatch, (stage + 1) % n};
  return std::nullopt;
}

// What a slot makes for another stage.
std::optional<Message> made(const Schedule& s, int stage, const Slot& slot) {
  const int n = int(s.stages.size()), part = s.part_of(stage, slot.chunk);
  if (slot.kind == SlotKind::forward && part + 1 < s.parts())
    return Message{true, false, part + 1, slot.microbatch, (stage + 1) % n};
  if (slot.kind == SlotKind::backward && part > 0)
    return Message{true, true, part, slot.microbatch, (stage + n - 1) % n};
  return std::nullopt;
}

// What one stage sends another, as the other receives it.
std::deque<Message> sent(const Schedule& s, int from, int to) {
  std::deque<Message> list;
  for (const Slot& slot : s.stages[std::size_t(from)])
    if (auto m = made(s, from, slot); m && m->peer == to)
      list.push_back({false, m->gradient, m->border, m->microbatch, from});
  return list;
}

}  // namespace

std::vector<std::variant<Slot, Message>> with_messages(const Schedule& s, int stage) {
  const int n = int(s.stages.size());
  std::map<int, std::deque<Message>> coming;  // by stage
  for (int peer : {(stage + n - 1) % n, (stage + 1) % n})
    if (peer != stage && !coming.contains(peer)) coming[peer] = sent(s, peer, stage);
  std::vector<std::variant<Slot, Message>> steps;
  for (const Slot& slot : s.stages[std::size_t(stage)]) {
    // A message that another one overtakes in the order of use has been received before.
    if (const auto want = needed(s, stage, slot)) {
      auto& link = coming.at(want->peer);
      const auto it = std::find(link.begin(), link.end(), *want);
      if (it != link.end()) {
        steps.insert(steps.end(), link.begin(), it + 1);
        link.erase(link.begin(), it + 1);
      }
    }
    steps.emplace_back(slot);
    if (const auto m = made(s, stage, slot)) steps.emplace_back(*m);
  }
  for (const auto& [peer, link] : coming) AUTARKY_CHECK(link.empty(), "a message nobody needs");
  return steps;
}

}  // namespace autarky
