#include "sim/block_cost.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/error.h"
#include "ops/movement.h"
#include "sim/collective.h"

namespace autarky {
namespace {

bool is_data(Queue q) { return q.axis == Axis::dp || q.axis == Axis::fsdp; }

class BlockClock {
 public:
  BlockClock(const Graph& graph, const Mesh& mesh, const Device& device,
             std::span<const double> measured)
      : graph_(graph),
        mesh_(mesh),
        d_(device),
        measured_(measured),
        ready_(graph.values.size()),
        ways_(graph.values.size()) {
    AUTARKY_CHECK(measured.empty() || measured.size() == graph.nodes.size(), graph.name);
  }

  BlockCost run() {
    // This program runs nodes as they stand; other stacks what can run.
    if (d_.stack.tensor == TensorOverlap::graph && !d_.stack.gradients_wait) run_what_can();
    else
      for (std::size_t n = 0; n < graph_.nodes.size(); ++n) node(n);
    for (const auto& [axis, end] : clock_) cost_.data_s += std::max(0.0, end - now_);
    if (d_.stack.tensor >= TensorOverlap::tiles) hide();
    return std::move(cost_);
  }

 private:
  void node(std::size_t n) {
    const Node& node = graph_.nodes[n];
    std::vector<Type> in, out;
    for (Value v : node.in) in.push_back(local_type(graph_.type(v), mesh_));
    for (Value v : node.out) out.push_back(local_type(graph_.type(v), mesh_));
    if (node.op->movement == Movement::none) compute(n, in, out);
    else if (node.op == &op_info<Slice>()) slice(n, in, out);
    else move(n, in, out);
  }

  // Movements begin as soon as what they move is there; a gradient of weights, for which nothing
  // waits, runs where the rest would wait for a movement.
  void run_what_can() {
    std::vector<bool> given(graph_.values.size(), true), done(graph_.nodes.size(), false);
    for (const auto& node : graph_.nodes)
      for (Value v : node.out) given[std::size_t(v.id)] = false;
    for (std::size_t left = graph_.nodes.size(); left > 0; --left) {
      const std::size_t n = next_of(given, done);
      node(n);
      done[n] = true;
      for (Value v : graph_.nodes[n].out) given[std::size_t(v.id)] = true;
    }
  }

  std::size_t next_of(const std::vector<bool>& given, const std::vector<bool>& done) const {
    std::size_t best = graph_.nodes.size();
    std::pair<double, bool> least;  // when it can start, and whether it is a gradient of weights
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (done[n] || !std::all_of(node.in.begin(), node.in.end(),
                                  [&](Value v) { return given[std::size_t(v.id)]; }))
        continue;
      if (node.op->movement != Movement::none) return n;
      const std::pair rank(std::max(now_, operands(node).at), gives_gradient(node));
      if (best == graph_.nodes.size() || rank < least) best = n, least = rank;
    }
    AUTARKY_CHECK(best < graph_.nodes.size(), graph_.name);
    return best;
  }

  bool gives_gradient(const Node& node) const {
    return std::any_of(graph_.outputs.begin(), graph_.outputs.end(), [&](const Port& p) {
      return p.kind == PortKind::grad &&
             std::find(node.out.begin(), node.out.end(), p.value) != node.out.end();
    });
  }

  bool is_measured(std::size_t n) const { return !measured_.empty() && measured_[n] >= 0; }

  struct Ready {
    double at = 0;
    bool data = false;  // comes over data-parallel ranks
  };
  Ready operands(const Node& node) const {
    Ready last;
    for (Value v : node.in)
      if (ready_[std::size_t(v.id)].at > last.at) last = ready_[std::size_t(v.id)];
    return last;
  }

  void compute(std::size_t n, Types in, Types out) {
    const Node& node = graph_.nodes[n];
    wait(operands(node));
    Seconds s = node_seconds(node, in, out, d_);
    if (is_measured(n)) s = s.lasting(measured_[n]);
    cost_.seconds += s;
    place(n, {}, now_, s.total());
    now_ += s.total();
    finish(node, {now_, false});
    go_on(node, {s.total(), s.of_products()});
    record(node, s.total(), node.op->cost(node.attrs, in, out));
  }

  // The compute queue stands still until a collective is done.
  void wait(Ready until) {
    if (until.at <= now_) return;
    cost_.seconds[until.data ? Part::data : Part::tensor] += until.at - now_;
    now_ = until.at;
  }

  // A copy on the device.
  void slice(std::size_t n, Types in, Types out) {
    double s = double(in[0].bytes() + out[0].bytes()) / d_.chip.bytes_per_s / d_.chip.memory;
    if (is_measured(n)) s = measured_[n];
    cost_.seconds[Part::memory] += s;
    place(n, {}, now_, s);
    now_ += s;
    finish(graph_.nodes[n], {now_, false});
    go_on(graph_.nodes[n], {s, 0});
  }

  void move(std::size_t n, Types in, Types out) {
    const Node& node = graph_.nodes[n];
    const Queue queue = queue_of(node);
    double s = movement_seconds(node, in, out, mesh_, d_.chip.links);
    if (node.op->movement != Movement::collective) return message(n, double(bytes_moved(in, out)));
    s += d_.chip.launch_s;
    // Several operands are packed into one message, and unpacked.
    if (in.size() > 1 && !d_.stack.merged)
      s += 4 * double(bytes_moved(in, out)) / d_.chip.bytes_per_s;
    record(node, s, {});
    const bool data = is_data(queue);
    // What products read as fp8 is cast before it is gathered.
    if (!data && d_.stack.fp8 && node.op == &op_info<AllGather>()) s /= 2;
    if (data && d_.stack.merged) {
      if (merged_.contains(node.op)) s -= collective_latency_s(node, mesh_, d_.chip.links);
      merged_.insert(node.op);
    }
    if (data && in[0].dtype == DType::f32)
      s *= d_.stack.gradient_bytes / double(byte_size(DType::f32));
    if (data) s += part_calls_s(in, out, group_of(mesh_, *queue.axis).ranks);
    if (data && !d_.stack.gradients_wait) {
      cost_.data_s += s;
      place(n, queue, now_, s);
      return finish(node, {});
    }
    const double start = std::max({now_, operands(node).at, clock_[*queue.axis]});
    clock_[*queue.axis] = start + s;
    place(n, queue, start, s);
    finish(node, {start + s, data});
    if (!data) go_on(node, {s, s});
    if (!data) ++collectives_;
    if (!data && d_.stack.tensor == TensorOverlap::none) wait({start + s, false});
  }

  double part_calls_s(Types in, Types out, int ranks) const {
    constexpr std::int64_t kStaysWhole = 100'000;  // elements (DeepSpeed's persistence threshold)
    double parts = 0;
    for (std::size_t i = 0; i < in.size(); ++i)
      if (std::max(in[i].elements(), out[i].elements()) > kStaysWhole) parts += ranks;
    return parts * d_.stack.part_calls * d_.stack.host_s;
  }

  void message(std::size_t n, double bytes) {
    const double s = message_s(n, bytes, group_of(mesh_, Axis::pp).stride);
    cost_.message_s += s;
    cost_.far_message_s += message_s(n, bytes, std::numeric_limits<int>::max());
    place(n, {Axis::pp}, now_, s);
    record(graph_.nodes[n], s, {});
  }

  double message_s(std::size_t n, double bytes, int stride) const {
    const int tp = mesh_.size(Axis::tp) * mesh_.size(Axis::tpr);
    const auto links = std::span(d_.chip.links);
    if (!d_.stack.scatter_messages || tp == 1 || is_split_over_tp(n))
      return message_seconds(bytes, stride, links);
    return message_seconds(bytes / tp, stride, links) +
           collective_seconds(Collective::all_gather, bytes, {tp, 1}, links);
  }

  bool is_split_over_tp(std::size_t n) const {
    for (const auto& axes : graph_.type(graph_.nodes[n].in[0]).layout.split)
      if (std::find(axes.begin(), axes.end(), Axis::tp) != axes.end()) return true;
    return false;
  }

  // Collectives go on beside the products that they belong to, or beside the other half's
  // computation, and then both are slower; the first and the last piece have nothing beside them.
  void hide() {
    const double exposed = cost_.seconds[Part::tensor];
    if (exposed == 0) return;
    const double compute = cost_.seconds.total() - exposed;
    const double hidden = std::min(compute, exposed * (1 - 1 / (2 * collectives_)));
    const double lost =
        d_.stack.tensor == TensorOverlap::half_batches ? hidden * d_.stack.interference : 0;
    cost_.seconds[Part::tensor] = exposed - hidden + std::min(hidden, lost);
  }

  void place(std::size_t n, Queue queue, double start, double seconds) {
    cost_.spans.push_back({n, queue, start, seconds});
  }
  // The longest way to a node's results is that to its operands, and the node. The block lasts
  // until the last that computes.
  void go_on(const Node& node, std::array<double, 2> seconds) {
    std::array<double, 2> way = {};
    for (Value v : node.in)
      for (std::size_t i = 0; i < way.size(); ++i)
        way[i] = std::max(way[i], ways_[std::size_t(v.id)][i]);
    for (std::size_t i = 0; i < way.size(); ++i) {
      way[i] += seconds[i];
      if (!queue_of(node).axis) cost_.longest_way_s[i] = std::max(cost_.longest_way_s[i], way[i]);
    }
    for (Value v : node.out) ways_[std::size_t(v.id)] = way;
  }
  void finish(const Node& node, Ready at) {
    for (Value v : node.out) ready_[std::size_t(v.id)] = at;
  }
  void record(const Node& node, double seconds, const Cost& cost) {
    cost_.ops.push_back({graph_.name, std::string(node.op->name), "", seconds, 1, cost});
  }

  const Graph& graph_;
  const Mesh& mesh_;
  const Device& d_;
  std::span<const double> measured_;
  std::vector<Ready> ready_;                 // by value
  std::vector<std::array<double, 2>> ways_;  // by value: BlockCost::longest_way_s
  std::map<Axis, double> clock_;
  double now_ = 0;
  double collectives_ = 0;  // that layers wait for
  std::set<const OpInfo*> merged_;
  BlockCost cost_;
};

}  // namespace

double BlockCost::least_s(bool products) const {
  const double computes =
      products ? seconds.of_products() : seconds.total() - seconds[Part::tensor];
  return std::max(computes, longest_way_s[products ? 1 : 0]);
}

double BlockCost::compute_s() const {
  double sum = 0;
  for (const auto& span : spans)
    if (!span.queue.axis) sum += span.seconds;
  return sum;
}

BlockCost block_cost(const Graph& graph, const Mesh& mesh, const Device& device,
                     std::span<const double> measured) {
  return BlockClock(graph, mesh, device, measured).run();
}

}  // namespace autarky
