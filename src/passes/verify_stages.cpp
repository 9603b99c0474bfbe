#include <fmt/core.h>

#include <map>

#include "base/error.h"
#include "ops/movement.h"
#include "passes/verify.h"

namespace autarky {
namespace {

// A send or receive of one stage.
struct Mail {
  std::size_t call;
  std::string what;  // buffer, micro-batch and type: the same at both ends
};

// What calls do between stages: the first node of such a block is its movement.
const Node& node_of(const Program& p, const Call& call) {
  return p.blocks[std::size_t(call.block)].graph.nodes[0];
}
Movement movement_of(const Program& p, const Call& call) { return node_of(p, call).op->movement; }
bool is_message(Movement m) { return m == Movement::send || m == Movement::receive; }
// The stage at the other end. Send and Receive have the same attributes: the distance to it.
std::int64_t peer_of(const Program& p, const Call& call, std::size_t stage) {
  return std::int64_t(stage) + std::any_cast<Send::Attrs>(node_of(p, call).attrs).step;
}

[[noreturn]] void broken(std::string_view where, std::string_view why) {
  throw Error(fmt::format("the stages do not fit: {}", why)).at(where);
}

std::string call_name(std::size_t stage, const Program& p, std::size_t call) {
  return fmt::format("stage {}, call {} ({})", stage, call,
                     p.blocks[std::size_t(p.calls[call].block)].graph.name);
}

std::vector<Mail> mail_of(const Program& p, std::size_t stage, Movement movement,
                          std::size_t peer) {
  std::vector<Mail> list;
  for (std::size_t i = 0; i < p.calls.size(); ++i) {
    const Call& call = p.calls[i];
    if (movement_of(p, call) != movement || peer_of(p, call, stage) != std::int64_t(peer)) continue;
    const Buffer& buffer = p.buffers[std::size_t(call.inputs[0])];
    list.push_back({i, fmt::format("{} of micro-batch {} as {}", buffer.name, call.microbatch,
                                   to_string(buffer.type))});
  }
  return list;
}

// What stage `from` sends stage `to` is what that one receives, in order.
void verify_link(std::span<const Program> stages, std::size_t from, std::size_t to) {
  const auto sent = mail_of(stages[from], from, Movement::send, to);
  const auto taken = mail_of(stages[to], to, Movement::receive, from);
  for (std::size_t i = 0; i < std::max(sent.size(), taken.size()); ++i) {
    if (i >= taken.size())
      broken(call_name(from, stages[from], sent[i].call),
             fmt::format("stage {} does not receive it", to));
    if (i >= sent.size())
      broken(call_name(to, stages[to], taken[i].call),
             fmt::format("stage {} does not send it", from));
    if (sent[i].what != taken[i].what)
      broken(
          call_name(to, stages[to], taken[i].call),
          fmt::format("it receives {}, but stage {} sends {}", taken[i].what, from, sent[i].what));
  }
}

// Runs the calls of all stages, each in order: a receive goes on when its message has been sent.
void verify_no_circle(std::span<const Program> stages) {
  std::vector<std::size_t> at(stages.size());
  std::map<std::pair<std::size_t, std::size_t>, int> under_way;  // messages, by sender and receiver
  const auto advance = [&](std::size_t s) {
    const Program& p = stages[s];
    const Call& call = p.calls[at[s]];
    const Movement movement = movement_of(p, call);
    if (is_message(movement)) {
      const auto peer = std::size_t(peer_of(p, call, s));
      if (movement == Movement::send) {
        ++under_way[{s, peer}];
      } else {
        int& mail = under_way[{peer, s}];
        if (mail == 0) return false;
        --mail;
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
  const std::size_t n = stages.size();
  for (std::size_t s = 0; s < n; ++s) {
    const Program& p = stages[s];
    for (std::size_t i = 0; i < p.calls.size(); ++i) {
      if (!is_message(movement_of(p, p.calls[i]))) continue;
      const auto to = peer_of(p, p.calls[i], s);
      if (to < 0 || to >= std::int64_t(n) || to == std::int64_t(s))
        broken(call_name(s, p, i), fmt::format("there is no stage {}", to));
    }
  }
  for (std::size_t s = 0; s < n; ++s)
    for (std::size_t to = 0; to < n; ++to)
      if (s != to) verify_link(stages, s, to);
  verify_no_circle(stages);
}

}  // namespace autarky
