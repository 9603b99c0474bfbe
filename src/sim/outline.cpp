#include "sim/outline.h"

#include <algorithm>

#include "base/error.h"
#include "ops/attention.h"
#include "ops/contract.h"
#include "ops/movement.h"
#include "sim/collective.h"

namespace autarky {
namespace {

void add(BlockCost& to, const BlockCost& cost) {
  to.seconds += cost.seconds;
  to.seconds[Part::update] += cost.message_s;
  to.data_s += cost.data_s;
}

// The calls of a stage between messages, as in passes/slot_calls.cpp.
class StageItems {
 public:
  struct Item {
    enum Kind : std::uint8_t { call, gather, reduce, send, receive } kind;
    bool gradient = false;            // of a message: goes back
    bool gathered = false;            // of a call: its parameters come by a gather
    const BlockCost* cost = nullptr;  // of all but messages
    double message_s = 0;
    const Slot* slot = nullptr;  // of a call
  };

  StageItems(const Outline& o, int stage)
      : o_(o),
        costs_(*o.stages[std::size_t(stage)]),
        stage_(stage),
        parts_{blocks("embed"), blocks("layer"), blocks("head")} {
    const Slot* slot = o.schedule->stages[std::size_t(stage)].data();
    for (const auto& step : with_messages(*o.schedule, stage)) {
      const std::size_t from = items_.size();
      if (const auto* message = std::get_if<Message>(&step)) add_message(*message);
      else add_slot(std::get<Slot>(step));
      for (std::size_t i = from; i < items_.size(); ++i) items_[i].slot = slot;
      if (std::holds_alternative<Slot>(step)) ++slot;
    }
  }
  std::vector<Item> take() { return std::move(items_); }

 private:
  struct Block {
    const BlockCost *cost = nullptr, *gather = nullptr;
  };
  struct PartBlocks {
    Block forward, backward, first, weights, weights_first;
    const BlockCost* reduce = nullptr;
  };

  Block block(const std::string& name) const {
    return {costs_.find(name), costs_.find("gather." + name)};
  }
  Block either(const std::string& name, const Block& otherwise) const {
    const Block found = block(name);
    return found.cost ? found : otherwise;
  }
  PartBlocks blocks(const std::string& part) const {
    PartBlocks p;
    const std::string backward = part + (part == "head" ? ".FB" : ".B");
    p.forward = block(part + ".F");
    p.backward = block(backward);
    p.first = either(backward + ".first", p.backward);
    p.weights = block(part + ".W");
    p.weights_first = either(part + ".W.first", p.weights);
    p.reduce = costs_.find("reduce." + part);
    return p;
  }

  static const BlockCost& message_of(const StageCosts& costs, bool gradient) {
    // Of chunks that go round the last stage sends to the first, and back: the same bytes.
    const BlockCost* cost = costs.find(gradient ? "send.dx" : "send.y");
    if (!cost) cost = costs.find(gradient ? "send.y" : "send.dx");
    AUTARKY_CHECK(cost != nullptr, "a message between stages without a block");
    return *cost;
  }

  void add_message(const Message& m) {
    const int stages = int(o_.stages.size()), step = m.sent != m.gradient ? 1 : -1;
    const StageCosts& other = *o_.stages[std::size_t((stage_ + step + stages) % stages)];
    const BlockCost& cost = message_of(costs_, m.gradient);
    // Between two kinds of chip what is slower counts.
    const double seconds =
        &other.device() == &costs_.device()
            ? cost.message_s
            : std::max(cost.far_message_s, message_of(other, m.gradient).far_message_s);
    items_.push_back({m.sent ? Item::send : Item::receive, m.gradient, false, nullptr, seconds});
  }

  void add_call(const Block& b) {
    if (!b.cost) return;
    if (b.gather)  // one call ahead
      items_.insert(items_.begin() + std::ptrdiff_t(last_), {Item::gather, false, false, b.gather});
    if (b.gather) last_ = items_.size();
    items_.push_back({Item::call, false, b.gather != nullptr, b.cost});
  }

  void add_slot(const Slot& slot) {
    const auto& [embed, layer, head] = parts_;
    const int part = o_.schedule->part_of(stage_, slot.chunk);
    const int layers = o_.part_layers[std::size_t(part)];
    const bool first = part == 0, last = part + 1 == o_.schedule->parts();
    if (slot.kind == SlotKind::forward) {
      if (first) add_call(embed.forward);
      for (int l = 0; l < layers; ++l) add_call(layer.forward);
      return;
    }
    const bool late = slot.kind == SlotKind::weights;
    if (last && !late) gradients(head, late, slot.microbatch);
    for (int l = 0; l < layers; ++l) gradients(layer, late, slot.microbatch);
    if (first) gradients(embed, late, slot.microbatch);
  }

  void gradients(const PartBlocks& p, bool late, int m) {
    if (late) add_call(m == 0 ? p.weights_first : p.weights);
    else add_call(m == 0 ? p.first : p.backward);
    const bool whole = late == (p.weights.cost != nullptr);
    if (m + 1 == o_.schedule->microbatches && whole && p.reduce)
      items_.push_back({Item::reduce, false, false, p.reduce});
  }

  const Outline& o_;
  const StageCosts& costs_;
  int stage_;
  std::array<PartBlocks, 3> parts_;
  std::vector<Item> items_;
  std::size_t last_ = 0;  // the last call that parameters were gathered for
};

// Messages on their way to each stage, activations and gradients apart.
struct Channel {
  std::vector<double> arrivals;
  std::size_t taken = 0;
};
using Channels = std::vector<std::array<Channel, 2>>;

class OutlineWalk {
 public:
  OutlineWalk(const Outline& o, int stage)
      : stack_(o.stages[std::size_t(stage)]->device().stack),
        clock_(stack_),
        items_(StageItems(o, stage).take()),
        stage_(stage),
        with_timeline_(o.with_timeline) {}

  Timeline take_timeline() { return std::move(timeline_); }

  bool done() const { return next_ == items_.size(); }
  const StageClock& clock() const { return clock_; }

  bool advance(Channels& channels) {
    bool moved = false;
    for (; next_ < items_.size(); ++next_, moved = true) {
      const auto& item = items_[next_];
      if (item.kind == StageItems::Item::receive) {
        Channel& c = channels[std::size_t(stage_)][item.gradient];
        if (c.taken == c.arrivals.size()) return moved;
        clock_.receive(c.arrivals[c.taken++]);
        if (stack_.messages_stop) clock_.stop(item.message_s);
      } else {
        run(item, channels);
      }
    }
    return moved;
  }

  void finish(const Outline& o) {
    const double start = clock_.now();
    clock_.transfer(late_s_);
    clock_.wait_for_data();
    if (with_timeline_) record("gradients over data-parallel ranks", "data", start);
    const double reduced = clock_.now();
    const StageCosts& costs = *o.stages[std::size_t(stage_)];
    clock_.update(costs.once());
    double gathered = costs.once().data_s;
    for (int c = 0; c < o.schedule->chunks; ++c)
      for (int l = 0; l < o.part_layers[std::size_t(o.schedule->part_of(stage_, c))]; ++l) {
        clock_.update(costs.once_per_layer());
        gathered += costs.once_per_layer().data_s;
      }
    // Updated parameters come back: beside the next step's forward pass, or before it.
    clock_.transfer(gathered);
    if (!stack_.overlap_parameters) clock_.wait_for_data();
    if (with_timeline_) record("optimizer", "update", reduced);
  }

 private:
  using Item = StageItems::Item;

  void run(const Item& item, Channels& channels) {
    if (item.kind == Item::call) {
      if (item.gathered) clock_.wait_for_data(wanted_[gathered_++]);
      const double start = clock_.now();
      clock_.compute(*item.cost);
      if (with_timeline_) record(*item.slot, start);
    } else if (item.kind == Item::send) {
      const int to =
          (stage_ + (item.gradient ? -1 : 1) + int(channels.size())) % int(channels.size());
      channels[std::size_t(to)][item.gradient].arrivals.push_back(clock_.send(item.message_s));
    } else {
      const bool gather = item.kind == Item::gather;
      if (!gather && !stack_.overlap_gradients) return void(late_s_ += item.cost->data_s);
      const double end = clock_.transfer(item.cost->data_s);
      if (gather) wanted_.push_back(end);
      if (gather && !stack_.overlap_parameters) clock_.wait_for_data();
    }
  }

  void record(std::string name, std::string kind, double start) {
    if (clock_.now() > start)
      timeline_.push_back(
          {"compute", std::move(name), std::move(kind), start, clock_.now() - start});
  }

  // Calls of one slot are one event, "F3" or, of the second chunk, "F3.1".
  void record(const Slot& slot, double start) {
    if (&slot == recorded_) {
      timeline_.back().seconds = clock_.now() - timeline_.back().start_s;
      return;
    }
    recorded_ = &slot;
    constexpr std::string_view kNames[] = {"forward", "backward", "weights"};
    constexpr char kLetters[] = {'F', 'B', 'W'};
    const auto kind = std::size_t(slot.kind);
    std::string name = kLetters[kind] + std::to_string(slot.microbatch);
    if (slot.chunk > 0) name += "." + std::to_string(slot.chunk);
    timeline_.push_back(
        {"compute", std::move(name), std::string(kNames[kind]), start, clock_.now() - start});
  }

  const Stack& stack_;
  StageClock clock_;
  std::vector<Item> items_;
  std::vector<double> wanted_;  // by gather, in the order of the calls that need them
  std::size_t gathered_ = 0;
  double late_s_ = 0;  // transfers that wait for the end of all backward passes
  int stage_;
  std::size_t next_ = 0;
  bool with_timeline_;
  Timeline timeline_;
  const Slot* recorded_ = nullptr;
};

bool is_done_again(const Node& node, const Graph& graph, const Stack& stack) {
  if (node.op == &op_info<Attention>()) return stack.again_attention;
  if (node.op != &op_info<Contract>()) return false;
  const bool to_ffn = graph.type(node.out[0]).find('f') >= 0;
  const bool from_ffn = graph.type(node.in[0]).find('f') >= 0;
  return (to_ffn && stack.again_ffn_in) || (from_ffn && stack.again_ffn_out);
}

// What a layer's forward takes that the stack does twice.
Seconds done_again(const Graph& forward, const Mesh& mesh, const Device& device) {
  Seconds sum;
  for (const auto& node : forward.nodes) {
    if (device.stack.again_gathers && node.op == &op_info<AllGather>()) {
      std::vector<Type> in = {local_type(forward.type(node.in[0]), mesh)},
                        out = {local_type(forward.type(node.out[0]), mesh)};
      sum[Part::tensor] += movement_seconds(node, in, out, mesh, device.chip.links);
    }
    if (!is_done_again(node, forward, device.stack)) continue;
    std::vector<Type> in, out;
    for (Value v : node.in) in.push_back(local_type(forward.type(v), mesh));
    for (Value v : node.out) out.push_back(local_type(forward.type(v), mesh));
    sum += node_seconds(node, in, out, device);
  }
  return sum;
}

}  // namespace

StageCosts::StageCosts(const Program& program, const Device& device, bool again,
                       const MeasuredBlocks& measured)
    : device_(&device) {
  for (const auto& block : program.blocks) {
    const auto found = measured.find(block.graph.name);
    const std::span<const double> seconds =
        found == measured.end() ? std::span<const double>() : found->second;
    blocks_.try_emplace(block.graph.name, block_cost(block.graph, program.mesh, device, seconds));
  }
  const int forward = program.find_block("layer.F");
  if (again && forward >= 0) {
    const Seconds more =
        done_again(program.blocks[std::size_t(forward)].graph, program.mesh, device);
    for (auto& [name, cost] : blocks_)
      if (name == "layer.B" || name == "layer.B.first") cost.seconds += more;
  }
  if (device.stack.again_parameters)
    for (auto& [name, cost] : blocks_)
      if (name.starts_with("gather.layer.B")) cost.data_s *= 2;
  for (const auto& call : program.calls) {
    const Graph& graph = program.blocks[std::size_t(call.block)].graph;
    if (call.microbatch >= 0 || graph.name.starts_with("reduce.")) continue;
    const BlockCost& cost = blocks_.at(graph.name);
    add(graph.name.ends_with(".layer") ? once_per_layer_ : once_, cost);
  }
}

const BlockCost* StageCosts::find(const std::string& block) const {
  const auto it = blocks_.find(block);
  return it == blocks_.end() ? nullptr : &it->second;
}

OutlineTime simulate(const Outline& o) {
  std::vector<OutlineWalk> walks;
  for (std::size_t s = 0; s < o.stages.size(); ++s) walks.emplace_back(o, int(s));
  Channels channels(walks.size());
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& walk : walks) moved |= walk.advance(channels);
  }
  OutlineTime result;
  for (auto& walk : walks) {
    AUTARKY_CHECK(walk.done(), "the schedule waits in a circle");
    walk.finish(o);
    if (walk.clock().now() > result.step_s) {
      result.step_s = walk.clock().now();
      result.slowest = int(result.spent.size());
    }
    result.spent.push_back(walk.clock().spent());
    if (o.with_timeline) result.timelines.push_back(walk.take_timeline());
  }
  return result;
}

}  // namespace autarky
