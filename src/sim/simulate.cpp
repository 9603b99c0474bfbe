#include "sim/simulate.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "ops/movement.h"

namespace autarky {
namespace {

// Ring algorithms: an all-reduce moves 2 (n-1)/n of the bytes in 2 (n-1) messages, the others half.
double movement_seconds(const Node& node, Types in, Types out, const Mesh& mesh,
                        const ChipModel& chip) {
  if (node.op == &op_info<Slice>())
    return double(in[0].bytes() + out[0].bytes()) / chip.bytes_per_s;
  const double bytes = double(std::max(in[0].bytes(), out[0].bytes()));
  if (node.op->movement != Movement::collective)
    return chip.link_latency_s + bytes / chip.link_bytes_per_s;
  const double n = mesh.size(*queue_of(node).axis);
  const double rounds = node.op == &op_info<AllReduce>() ? 2 * (n - 1) : n - 1;
  return rounds * (chip.link_latency_s + bytes / n / chip.link_bytes_per_s);
}

// When messages arrive that have been sent and not yet received, by sender and receiver.
using Mail = std::map<std::pair<std::int64_t, std::int64_t>, std::deque<double>>;

// The state of one stage's queues while its calls are followed.
class StageClock {
 public:
  StageClock(const Program& p, const ChipModel& chip)
      : p_(p), chip_(chip), ready_(p.buffers.size(), 0) {
    for (const auto& block : p.blocks) nodes_.push_back(node_times(block.graph));
  }

  bool done() const { return next_ == p_.calls.size(); }
  double now() const {
    double end = 0;
    for (const auto& [q, t] : clock_) end = std::max(end, t);
    return end;
  }

  // Runs calls until one needs a message that has not been sent.
  bool advance(Mail& mail) {
    bool moved = false;
    for (; next_ < p_.calls.size(); ++next_, moved = true) {
      const Call& call = p_.calls[next_];
      const Graph& graph = p_.blocks[std::size_t(call.block)].graph;
      const Node& node = graph.nodes[0];
      if (node.op->movement == Movement::receive) {
        auto& arrived = mail[{p_.stage + std::any_cast<Receive::Attrs>(node.attrs).step, p_.stage}];
        if (arrived.empty()) return moved;
        ready_[std::size_t(call.outputs[0])] = arrived.front();
        arrived.pop_front();
        continue;
      }
      run(call, graph);
      if (node.op->movement == Movement::send)
        mail[{p_.stage, p_.stage + std::any_cast<Send::Attrs>(node.attrs).step}].push_back(
            clock_[queue_name({Axis::pp})]);
    }
    return moved;
  }

  bool with_timeline = false;
  Timeline timeline;
  std::map<std::pair<std::string, std::string>, NodeTime> ops;  // by block and operation
  std::map<std::string, double> busy;

 private:
  struct NodeTimes {
    std::vector<double> seconds;
    std::vector<Cost> costs;
  };

  NodeTimes node_times(const Graph& graph) const {
    NodeTimes times;
    for (const auto& node : graph.nodes) {
      std::vector<Type> in, out;
      for (Value v : node.in) in.push_back(local_type(graph.type(v), p_.mesh));
      for (Value v : node.out) out.push_back(local_type(graph.type(v), p_.mesh));
      times.seconds.push_back(node_seconds(node, in, out, p_.mesh, chip_));
      const bool moves = node.op->movement != Movement::none;
      times.costs.push_back(moves ? Cost{} : node.op->cost(node.attrs, in, out));
    }
    return times;
  }

  static void add(NodeTime& to, double seconds, const Cost& cost) {
    to.seconds += seconds;
    ++to.calls;
    to.cost.flops += cost.flops;
    to.cost.bytes += cost.bytes;
  }

  void run(const Call& call, const Graph& graph) {
    std::vector<double> ready(graph.values.size(), 0);
    for (std::size_t i = 0; i < graph.inputs.size(); ++i)
      ready[std::size_t(graph.inputs[i].value.id)] = ready_[std::size_t(call.inputs[i])];
    const auto& [seconds, costs] = nodes_[std::size_t(call.block)];
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      const std::string queue = queue_name(queue_of(node));
      // What moves beside the computation begins when that comes to it.
      double start = std::max(clock_[queue], clock_[queue_name({})]);
      for (Value v : node.in) start = std::max(start, ready[std::size_t(v.id)]);
      clock_[queue] = start + seconds[n];
      busy[queue] += seconds[n];
      if (with_timeline)
        timeline.push_back({queue, graph.name, std::string(node.op->name), start, seconds[n]});
      add(ops[{graph.name, std::string(node.op->name)}], seconds[n], costs[n]);
      for (Value v : node.out) ready[std::size_t(v.id)] = clock_[queue];
    }
    for (std::size_t i = 0; i < graph.outputs.size(); ++i)
      ready_[std::size_t(call.outputs[i])] = ready[std::size_t(graph.outputs[i].value.id)];
  }

  const Program& p_;
  const ChipModel& chip_;
  std::vector<double> ready_;     // by buffer
  std::vector<NodeTimes> nodes_;  // by block
  std::map<std::string, double> clock_;
  std::size_t next_ = 0;
};

}  // namespace

double node_seconds(const Node& node, Types in, Types out, const Mesh& mesh,
                    const ChipModel& chip) {
  if (node.op->movement != Movement::none)
    return chip.launch_s + movement_seconds(node, in, out, mesh, chip);
  const Cost cost = node.op->cost(node.attrs, in, out);
  const double intensity = cost.bytes > 0 ? cost.flops / cost.bytes : 0;
  return chip.launch_s +
         chip.roofline_s(cost, in[0].dtype) /
             chip.efficiency_at(efficiency_key(*node.op, node.attrs, out), intensity);
}

Simulation simulate(std::span<const Program> stages, const ChipModel& chip, bool with_timeline) {
  std::vector<StageClock> clocks;
  for (const auto& p : stages) clocks.emplace_back(p, chip);
  const std::size_t n = stages.size();
  clocks[0].with_timeline = with_timeline;
  Mail mail;
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& clock : clocks) moved |= clock.advance(mail);
  }
  Simulation result;
  for (std::size_t s = 0; s < n; ++s) {
    if (!clocks[s].done())
      throw Error("the program deadlocks: a receive has no send").at(stages[s].name);
    result.stage_s.push_back(clocks[s].now());
    result.step_s = std::max(result.step_s, clocks[s].now());
    result.memory_bytes = std::max(result.memory_bytes, stages[s].arena_bytes());
  }
  for (const auto& [queue, seconds] : clocks[0].busy) result.queues.push_back({queue, seconds});
  for (auto& [name, op] : clocks[0].ops) {
    std::tie(op.block, op.op) = name;
    result.ops.push_back(std::move(op));
  }
  result.timeline = std::move(clocks[0].timeline);
  return result;
}

}  // namespace autarky
