#include "sim/simulate.h"

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>

#include "base/error.h"
#include "ops/movement.h"
#include "sim/stage_clock.h"

namespace autarky {
namespace {

// When messages arrive that have been sent and not yet received, by sender and receiver.
using Mail = std::map<std::pair<std::int64_t, std::int64_t>, std::deque<double>>;

enum class Work : std::uint8_t { compute, update, gather, reduce, send, receive };

// Follows one stage's calls.
class StageWalk {
 public:
  StageWalk(const Program& p, const Device& device, bool with_timeline)
      : p_(p),
        stack_(device.stack),
        clock_(stack_),
        with_timeline_(with_timeline),
        calls_of_(p.blocks.size(), 0),
        ends_(p.calls.size(), 0) {
    for (const auto& block : p.blocks) costs_.push_back(block_cost(block.graph, p.mesh, device));
  }

  bool done() const { return next_ == p_.calls.size(); }
  const StageClock& clock() const { return clock_; }
  Timeline take_timeline() { return std::move(timeline_); }

  // Runs calls until one needs a message that has not been sent.
  bool advance(Mail& mail) {
    bool moved = false;
    for (; next_ < p_.calls.size(); ++next_, moved = true) {
      const Call& call = p_.calls[next_];
      const Work work = work_of(call);
      if (work == Work::receive) {
        auto& arrived = mail[{p_.stage + step_of<Receive>(call), p_.stage}];
        if (arrived.empty()) return moved;
        ends_[next_] = arrived.front();
        arrived.pop_front();
      } else if (work == Work::send) {
        wait(call);
        ends_[next_] = clock_.send(cost(call).message_s);
        mail[{p_.stage, p_.stage + step_of<Send>(call)}].push_back(ends_[next_]);
      } else {
        run(call, work);
      }
      ++calls_of_[std::size_t(call.block)];
    }
    if (moved) clock_.wait_for_data();
    return moved;
  }

  std::vector<NodeTime> ops() const {
    std::map<std::pair<std::string, std::string>, NodeTime> sums;
    for (std::size_t b = 0; b < costs_.size(); ++b)
      for (const auto& op : costs_[b].ops) {
        NodeTime& sum = sums[{op.block, op.op}];
        const double n = double(calls_of_[b]);
        sum.seconds += n * op.seconds;
        sum.calls += calls_of_[b];
        sum.cost.flops += n * op.cost.flops;
        sum.cost.bytes += n * op.cost.bytes;
      }
    std::vector<NodeTime> list;
    for (auto& [name, op] : sums) {
      std::tie(op.block, op.op) = name;
      if (op.calls > 0) list.push_back(std::move(op));
    }
    return list;
  }

  std::vector<SimulatedQueue> queues() const {
    std::map<std::string, double> busy;
    for (std::size_t b = 0; b < costs_.size(); ++b)
      for (const auto& span : costs_[b].spans)
        if (calls_of_[b] > 0) busy[queue_name(span.queue)] += double(calls_of_[b]) * span.seconds;
    std::vector<SimulatedQueue> list;
    for (const auto& [name, seconds] : busy) list.push_back({name, seconds});
    return list;
  }

 private:
  const BlockCost& cost(const Call& call) const { return costs_[std::size_t(call.block)]; }
  const Graph& graph(const Call& call) const { return p_.blocks[std::size_t(call.block)].graph; }
  template <class Op>
  std::int64_t step_of(const Call& call) const {
    return std::any_cast<const typename Op::Attrs&>(graph(call).nodes[0].attrs).step;
  }

  Work work_of(const Call& call) const {
    const Movement first = graph(call).nodes[0].op->movement;
    if (first == Movement::receive) return Work::receive;
    if (first == Movement::send) return Work::send;
    if (call.queue.axis)
      return graph(call).name.starts_with("gather.") ? Work::gather : Work::reduce;
    return call.microbatch >= 0 ? Work::compute : Work::update;
  }

  // For what calls of other queues give.
  void wait(const Call& call) {
    for (int w : call.waits) {
      const Work work = work_of(p_.calls[std::size_t(w)]);
      const double end = ends_[std::size_t(w)];
      if (work == Work::receive) clock_.receive(end);
      else if (work == Work::gather || work == Work::reduce) clock_.wait_for_data(end);
    }
  }

  void run(const Call& call, Work work) {
    const bool transfers = work == Work::gather || work == Work::reduce;
    if (!transfers) wait(call);
    const double start = clock_.now();
    if (work == Work::compute) clock_.compute(cost(call));
    else if (work == Work::update) clock_.update(cost(call));
    else transfer(work);
    if (with_timeline_)
      for (const auto& span : cost(call).spans)
        timeline_.push_back({queue_name(span.queue), graph(call).name,
                             std::string(graph(call).nodes[span.node].op->name), start + span.start,
                             span.seconds});
  }

  void transfer(Work work) {
    ends_[next_] = clock_.transfer(cost(p_.calls[next_]).data_s);
    const bool beside = work == Work::gather ? stack_.overlap_parameters : stack_.overlap_gradients;
    if (!beside) clock_.wait_for_data();
  }

  const Program& p_;
  const Stack& stack_;
  StageClock clock_;
  bool with_timeline_;
  std::vector<std::int64_t> calls_of_;  // by block
  std::vector<double> ends_;            // by call
  std::vector<BlockCost> costs_;        // by block
  Timeline timeline_;
  std::size_t next_ = 0;
};

}  // namespace

Simulation simulate(std::span<const Program> stages, const Device& device, bool with_timeline) {
  std::vector<StageWalk> walks;
  walks.reserve(stages.size());
  for (const auto& p : stages) walks.emplace_back(p, device, with_timeline && walks.empty());
  Mail mail;
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& walk : walks) moved |= walk.advance(mail);
  }
  Simulation result;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    if (!walks[s].done())
      throw Error("the program deadlocks: a receive has no send").at(stages[s].name);
    result.stage_s.push_back(walks[s].clock().now());
    result.spent.push_back(walks[s].clock().spent());
    result.step_s = std::max(result.step_s, walks[s].clock().now());
    result.memory_bytes = std::max(result.memory_bytes, stages[s].arena_bytes());
  }
  result.queues = walks[0].queues();
  result.ops = walks[0].ops();
  result.timeline = walks[0].take_timeline();
  return result;
}

}  // namespace autarky
