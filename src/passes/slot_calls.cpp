// The calls of a step's micro-batches, in the order of the schedule.
#include <fmt/core.h>

#include <bit>

#include "passes/step_context.h"

namespace autarky {
namespace {

class SlotCalls {
 public:
  explicit SlotCalls(StepContext& c) : c_(c) {}

  void run() {
    for (const auto& step : with_messages(c_.schedule, c_.stage))
      if (const auto* message = std::get_if<Message>(&step)) move(*message);
      else run_slot(std::get<Slot>(step));
  }

 private:
  static std::string act(int layer, int m) { return fmt::format("act.{}.{}", layer, m); }
  static std::string dact(int layer, int m) { return fmt::format("dact.{}.{}", layer, m); }

  void run_slot(const Slot& slot) {
    const int m = slot.microbatch;
    if (slot.kind == SlotKind::forward) forward(slot.chunk, m);
    else if (slot.kind == SlotKind::backward) backward(slot.chunk, m);
    else weights(slot.chunk, m);
  }

  void call(int block, const Scope& scope) {
    if (block >= 0) c_.builder.call(block, scope);
  }

  void move(const Message& message) {
    const std::string name = message.sent ? (message.gradient ? "send.dx" : "send.y")
                                          : (message.gradient ? "receive.dy" : "receive.x");
    const int block = c_.cached(name, [&] {
      return movement_block(name, c_.border, message.sent, message.peer - c_.stage);
    });
    // Parts meet before the first layer of the one behind.
    const int layer = c_.layers[std::size_t(message.border)].first, m = message.microbatch;
    call(block, {"pipe", -1, m, 0, {{"x", message.gradient ? dact(layer, m) : act(layer, m)}}});
  }

  void forward(int chunk, int m) {
    const auto [first, end] = c_.layers_of(chunk);
    if (c_.schedule.part_of(c_.stage, chunk) == 0)
      call(c_.embed.forward, {"embed", -1, m, 0, {{"y", act(0, m)}}});
    for (int l = first; l < end; ++l) {
      const std::map<std::string, std::string> ports = {{"x", act(l, m)}, {"y", act(l + 1, m)}};
      call(c_.layer.forward, {StepContext::layer_scope(l), l, m, 0, ports});
    }
  }

  int lane_size() const { return c_.o.microbatches / c_.o.lanes; }
  bool opens(int m) const { return m % lane_size() == 0; }

  // The gradients of micro-batch m go to the accumulators of its lane.
  Scope scope(const std::string& name, int layer, int m,
              std::map<std::string, std::string> ports) const {
    return {name, layer, m, std::popcount(unsigned(m / lane_size())), std::move(ports)};
  }

  void backward(int chunk, int m) {
    const auto [first, end] = c_.layers_of(chunk);
    const int part = c_.schedule.part_of(c_.stage, chunk);
    if (part + 1 == c_.schedule.parts())
      gradients(c_.head, false,
                scope("head", -1, m,
                      {{"x", act(end, m)},
                       {"dx", dact(end, m)},
                       {"dloss", fmt::format("loss_weights.{}", m)}}));
    layers_and_embedding(chunk, m, false);
  }

  void weights(int chunk, int m) { layers_and_embedding(chunk, m, true); }

  void layers_and_embedding(int chunk, int m, bool late) {
    const auto [first, end] = c_.layers_of(chunk);
    for (int l = end; l-- > first;)
      gradients(c_.layer, late,
                scope(StepContext::layer_scope(l), l, m,
                      {{"x", act(l, m)}, {"dx", dact(l, m)}, {"dy", dact(l + 1, m)}}));
    if (c_.schedule.part_of(c_.stage, chunk) == 0)
      gradients(c_.embed, late, scope("embed", -1, m, {{"dy", dact(0, m)}}));
  }

  // The backward pass of a micro-batch through one part, or what is `late` of it: the gradients of
  // weights where they are set apart.
  void gradients(const PartBlocks& part, bool late, const Scope& s) {
    const bool first = opens(s.microbatch);
    if (late) call(first ? part.weights_first : part.weights, s);
    else call(first ? part.backward_first : part.backward, s);
    const int done = s.microbatch + 1;
    if (done % lane_size() == 0) combine_lanes(s.name, part, late, s.microbatch / lane_size());
    const bool whole = done == c_.o.microbatches && late == (part.weights >= 0);
    if (whole) add_reduction(c_, s.name, part);
  }

  // Lanes are the leaves of a binary tree: whenever a subtree is whole its halves are added. Of the
  // gradients that this kind of slot makes: those of the other may be lanes ahead or behind.
  void combine_lanes(const std::string& name, const PartBlocks& part, bool late, int lane) {
    int depth = std::popcount(unsigned(lane));
    for (int rest = lane; rest & 1; rest >>= 1, --depth) combine(name, part, late, depth);
  }

  void combine(const std::string& name, const PartBlocks& part, bool late, int depth) {
    std::vector<ParamPort> params = part.params;
    std::erase_if(params, [&](const ParamPort& p) { return part.late.contains(p.name) != late; });
    const std::string block = "combine." + StepContext::kind_of_scope(name) + (late ? ".W" : "");
    Scope s{name, -1, -1, 0, {}};
    for (const auto& p : params) {
      s.bound["grad." + p.name] = grad_name(name, p.name, depth - 1);
      s.bound["right." + p.name] = grad_name(name, p.name, depth);
    }
    if (!params.empty()) call(c_.cached(block, [&] { return combine_block(params); }), s);
  }

  StepContext& c_;
};

}  // namespace

std::string grad_name(const std::string& scope, const std::string& param, int depth) {
  return depth == 0 ? fmt::format("grad.{}.{}", scope, param)
                    : fmt::format("grad.{}.{}.{}", depth, scope, param);
}

void add_slots(StepContext& context) { SlotCalls(context).run(); }

}  // namespace autarky
