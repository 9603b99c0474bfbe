#include <fmt/core.h>

#include "base/error.h"
#include "ops/movement.h"
#include "passes/verify.h"

namespace autarky {
namespace {

// A send or receive of one stage.
struct Message {
  std::size_t call;
  int microbatch;
  std::string type;
};

// What calls do between stages: the first node of such a block is its movement.
const Node& node_of(const Program& p, const Call& call) {
  return p.blocks[std::size_t(call.block)].graph.nodes[0];
}
Movement movement_of(const Program& p, const Call& call) { return node_of(p, call).op->movement; }
bool is_message(Movement m) { return m == Movement::send || m == Movement::receive; }
// Send and Receive have the same attributes: the neighbour's distance.
std::int64_t step_of(const Program& p, const Call& call) {
  return std::any_cast<Send::Attrs>(node_of(p, call).attrs).step;
}

[[noreturn]] void broken(std::string_view where, std::string_view why) {
  throw Error(fmt::format("the stages do not fit: {}", why)).at(where);
}

std::vector<Message> messages(const Program& p, Movement movement, std::int64_t step) {
  std::vector<Message> list;
  for (std::size_t i = 0; i < p.calls.size(); ++i) {
    const Call& call = p.calls[i];
    if (movement_of(p, call) != movement || step_of(p, call) != step) continue;
    list.push_back({i, call.microbatch, to_string(p.buffers[std::size_t(call.inputs[0])].type)});
  }
  return list;
}

std::string call_name(std::size_t stage, const Program& p, std::size_t call) {
  return fmt::format("stage {}, call {} ({})", stage, call,
                     p.blocks[std::size_t(p.calls[call].block)].graph.name);
}

// What stage `from` sends by `step` is what its neighbour receives, in order.
void verify_link(std::span<const Program> stages, std::size_t from, std::int64_t step) {
  const std::size_t to = from + std::size_t(step);
  const auto sent = messages(stages[from], Movement::send, step);
  const auto taken = messages(stages[to], Movement::receive, -step);
  for (std::size_t i = 0; i < std::max(sent.size(), taken.size()); ++i) {
    if (i >= taken.size())
      broken(call_name(from, stages[from], sent[i].call),
             fmt::format("stage {} does not receive it", to));
    if (i >= sent.size())
      broken(call_name(to, stages[to], taken[i].call),
             fmt::format("stage {} does not send it", from));
    if (sent[i].microbatch != taken[i].microbatch || sent[i].type != taken[i].type)
      broken(
          call_name(to, stages[to], taken[i].call),
          fmt::format("it receives micro-batch {} as {}, but stage {} sends micro-batch {} as {}",
                      taken[i].microbatch, taken[i].type, from, sent[i].microbatch, sent[i].type));
  }
}

// Runs the calls of all stages, each in order: a receive goes on when its message has been sent.
void verify_no_circle(std::span<const Program> stages) {
  std::vector<std::size_t> at(stages.size());
  std::vector<int> from_before(stages.size()), from_next(stages.size());  // messages that wait
  const auto advance = [&](std::size_t s) {
    const Program& p = stages[s];
    const Call& call = p.calls[at[s]];
    const Movement movement = movement_of(p, call);
    if (is_message(movement)) {
      const auto step = step_of(p, call);
      if (movement == Movement::receive) {
        int& mail = (step < 0 ? from_before : from_next)[s];
        if (mail == 0) return false;
        --mail;
      } else {
        ++(step < 0 ? from_next : from_before)[s + std::size_t(step)];
      }
    }
    ++at[s];
    return true;
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t s = 0; s < stages.size(); ++s)
      while (at[s] < stages[s].calls.size() && advance(s)) moved = true;
  }
  for (std::size_t s = 0; s < stages.size(); ++s)
    if (at[s] < stages[s].calls.size())
      broken(call_name(s, stages[s], at[s]), "the stages wait for each other in a circle");
}

}  // namespace

void verify_stages(std::span<const Program> stages) {
  const auto n = std::int64_t(stages.size());
  for (std::int64_t s = 0; s < n; ++s) {
    const Program& p = stages[std::size_t(s)];
    for (std::size_t i = 0; i < p.calls.size(); ++i) {
      if (!is_message(movement_of(p, p.calls[i]))) continue;
      const auto to = s + step_of(p, p.calls[i]);
      if (std::abs(step_of(p, p.calls[i])) != 1 || to < 0 || to >= n)
        broken(call_name(std::size_t(s), p, i), fmt::format("there is no stage {}", to));
    }
  }
  for (std::int64_t s = 0; s + 1 < n; ++s) {
    verify_link(stages, std::size_t(s), 1);
    verify_link(stages, std::size_t(s + 1), -1);
  }
  verify_no_circle(stages);
}

}  // namespace autarky
