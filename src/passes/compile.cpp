#include "passes/compile.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "passes/autodiff.h"
#include "passes/builder.h"
#include "passes/fuse.h"
#include "passes/step_blocks.h"
#include "passes/verify.h"
#include "passes/zero.h"

namespace autarky {
namespace {

// The compiled blocks of one part of the model.
struct Part {
  int forward = -1, backward = -1, backward_first = -1;
  std::vector<ParamPort> params;
};

bool is_head(const Graph& graph) { return graph.name == "head"; }

class StepCompiler {
 public:
  StepCompiler(const ModelGraphs& model, const StepOptions& o, int stage)
      : model_(model),
        o_(o),
        stage_(stage),
        stages_(o.mesh.size(Axis::pp)),
        range_(stage_layers(model.layers, stages_, stage)),
        builder_(model.name + ".step", o.mesh, stage) {
    if (model.tied() && stages_ > 1)
      throw InputError("a model with tied embeddings cannot be cut into pipeline stages yet")
          .at(model.name)
          .hint("Use pipeline_parallel_size 1");
    border_ = model.layer.type(model.layer.find_output("y")->value);
    border_.layout = border_layout(border_, o.rules, o.mesh);
  }

  Program run() {
    int pass = 0;
    for (const auto run_pass :
         {&StepCompiler::autodiff, &StepCompiler::partition_blocks, &StepCompiler::recompute,
          &StepCompiler::fuse_blocks, &StepCompiler::schedule, &StepCompiler::memory}) {
      if (pass > int(o_.last_pass)) break;
      (this->*run_pass)();
      builder_.end_pass(static_cast<Pass>(pass++));
    }
    return builder_.take();
  }

 private:
  bool first_stage() const { return stage_ == 0; }
  bool last_stage() const { return stage_ == stages_ - 1; }
  static std::string layer_scope(int layer) { return fmt::format("layer.{}", layer); }

  static std::vector<Graph> one(Graph graph) {
    std::vector<Graph> list;
    list.push_back(std::move(graph));
    return list;
  }

  void autodiff() {
    if (first_stage()) builder_.add_block(model_.embed);
    builder_.add_block(model_.layer);
    if (last_stage()) builder_.add_block(model_.head);
    builder_.each_block([](const Graph& forward) {
      Graph joint = differentiate(forward);
      if (is_head(joint)) sum_losses(joint);
      return one(std::move(joint));
    });
  }

  void partition_blocks() {
    builder_.each_block([&](const Graph& joint) {
      Graph parted = partition(joint, o_.rules, o_.mesh);
      if (is_head(parted)) open_head(parted);
      if (o_.zero_stage >= 2) shard_gradients(parted, o_.mesh);
      part_of(parted.name).params = param_ports(parted);
      return one(std::move(parted));
    });
  }

  void open_head(Graph& head) {
    // The loss's gradient is data: the host fills it before the step for every micro-batch.
    for (auto& p : head.inputs)
      if (p.name == "dloss") p.kind = PortKind::data;
    // The stages without a head hold zeros.
    for (const Port* digits : {head.find_input("loss.digits"), head.find_output("loss.digits")})
      if (pipelined()) head.type(digits->value).layout.add_partial({Axis::pp, Combine::sum});
    loss_digits_ = head.type(head.find_input("loss.digits")->value);
  }

  std::vector<ParamPort> param_ports(const Graph& joint) const {
    std::vector<ParamPort> params;
    for (const auto& p : joint.inputs)
      if (const Port* grad = joint.find_input("grad." + p.name); grad && p.kind == PortKind::param)
        params.push_back(param_port(p.name, joint.type(p.value), joint.type(grad->value)));
    return params;
  }

  ParamPort param_port(const std::string& name, Type param, const Type& grad) const {
    Type state = grad;
    state.layout.partial.clear();
    state.layout.flat = zero_axes(o_.zero_stage, param, o_.mesh);
    if (o_.zero_stage == 3) param.layout.flat = state.layout.flat;
    return {name, param, grad, state, !model_.undecayed.contains(name)};
  }

  // The head's forward and backward run at once.
  void recompute() {
    builder_.each_block([&](Graph joint) {
      if (is_head(joint)) {
        joint.name += ".FB";
        return one(std::move(joint));
      }
      ForwardBackward parts = cut(joint, o_.recompute);
      std::vector<Graph> both = one(std::move(parts.forward));
      both.push_back(std::move(parts.backward));
      return both;
    });
  }

  void fuse_blocks() {
    builder_.each_block([&](Graph graph) {
      std::vector<Graph> made;
      if (o_.zero_stage == 3) gather_parameters(graph, o_.mesh);
      if (!graph.name.ends_with(".F")) made.push_back(without_accumulation(graph));
      made.push_back(std::move(graph));
      for (Graph& g : made) fuse(g);
      return made;
    });
  }

  Part& part_of(std::string_view name) {
    return name == "embed" ? embed_ : name == "layer" ? layer_ : head_;
  }

  void find_parts() {
    for (const std::string name : {"embed", "layer", "head"}) {
      const std::string backward = name + (name == "head" ? ".FB" : ".B");
      part_of(name).forward = builder_.find_block(name + ".F");
      part_of(name).backward = builder_.find_block(backward);
      part_of(name).backward_first = builder_.find_block(backward + ".first");
    }
  }

  void schedule() {
    find_parts();
    if (model_.tied()) builder_.rename("head." + model_.tied_head, "embed." + model_.tied_embed);
    if (pipelined()) add_movements();
    zero();
    AUTARKY_CHECK(o_.schedule < PipelineSchedule::interleaved, "not compiled");
    const Schedule order = make_schedule(o_.schedule, stages_, 1, o_.microbatches);
    for (const Slot& slot : order.stages[std::size_t(stage_)])
      slot.kind == SlotKind::forward ? forward(slot.microbatch) : backward(slot.microbatch);
    finish();
    builder_.connect_calls();
  }

  void memory() { builder_.plan(o_.scratch); }

  void add_movements() {
    if (!last_stage()) loss_digits_ = loss_layout_of_last_stage();
    send_next_ = builder_.add_block(movement_block("send.y", border_, true, 1));
    receive_ = builder_.add_block(movement_block("receive.x", border_, false, -1));
    send_back_ = builder_.add_block(movement_block("send.dx", border_, true, -1));
    receive_back_ = builder_.add_block(movement_block("receive.dy", border_, false, 1));
  }

  // Stages without the head still take part in adding the losses.
  Type loss_layout_of_last_stage() const {
    Graph joint = differentiate(model_.head);
    sum_losses(joint);
    joint = partition(joint, o_.rules, o_.mesh);
    Type digits = joint.type(joint.find_input("loss.digits")->value);
    digits.layout.add_partial({Axis::pp, Combine::sum});
    return digits;
  }

  std::string act(int border, int m) const { return fmt::format("act.{}.{}", border, m); }
  std::string dact(int border, int m) const { return fmt::format("dact.{}.{}", border, m); }

  void forward(int m) {
    if (first_stage()) builder_.call(embed_.forward, {"embed", -1, m, 0, {{"y", act(0, m)}}});
    else builder_.call(receive_, {"pipe", -1, m, 0, {{"x", act(range_.first, m)}}});
    for (int l = range_.first; l < range_.second; ++l)
      builder_.call(layer_.forward,
                    {layer_scope(l), l, m, 0, {{"x", act(l, m)}, {"y", act(l + 1, m)}}});
    if (!last_stage())
      builder_.call(send_next_, {"pipe", -1, m, 0, {{"x", act(range_.second, m)}}});
  }

  int lane_size() const { return o_.microbatches / o_.lanes; }

  void backward(int m) {
    const bool opens = m % lane_size() == 0;
    const int depth = std::popcount(unsigned(m / lane_size()));
    if (last_stage())
      builder_.call(opens ? head_.backward_first : head_.backward,
                    {"head",
                     -1,
                     m,
                     depth,
                     {{"x", act(range_.second, m)},
                      {"dx", dact(range_.second, m)},
                      {"dloss", fmt::format("loss_weights.{}", m)}}});
    else builder_.call(receive_back_, {"pipe", -1, m, 0, {{"x", dact(range_.second, m)}}});
    for (int l = range_.second; l-- > range_.first;)
      builder_.call(opens ? layer_.backward_first : layer_.backward,
                    {layer_scope(l),
                     l,
                     m,
                     depth,
                     {{"x", act(l, m)}, {"dx", dact(l, m)}, {"dy", dact(l + 1, m)}}});
    if (first_stage())
      builder_.call(opens ? embed_.backward_first : embed_.backward,
                    {"embed", -1, m, depth, {{"dy", dact(0, m)}}});
    else builder_.call(send_back_, {"pipe", -1, m, 0, {{"x", dact(range_.first, m)}}});
    if ((m + 1) % lane_size() == 0) combine_lanes(m / lane_size());
  }

  // Lanes are the leaves of a binary tree: whenever a subtree is whole its halves are added.
  void combine_lanes(int lane) {
    int depth = std::popcount(unsigned(lane));
    for (int rest = lane; rest & 1; rest >>= 1, --depth)
      each_scope([&](const std::string& scope, const Part& part) {
        const int block =
            cached("combine." + kind_of_scope(scope), [&] { return combine_block(part.params); });
        Scope s{scope, -1, -1, 0, {}};
        for (const auto& p : part.params) {
          s.bound["grad." + p.name] = grad_name(scope, p.name, depth - 1);
          s.bound["right." + p.name] = grad_name(scope, p.name, depth);
        }
        builder_.call(block, s);
      });
  }

  static std::string grad_name(const std::string& scope, const std::string& param, int depth) {
    return depth == 0 ? fmt::format("grad.{}.{}", scope, param)
                      : fmt::format("grad.{}.{}.{}", depth, scope, param);
  }
  static std::string kind_of_scope(const std::string& scope) {
    return scope.substr(0, scope.find('.'));
  }

  // The block of that name, made if it is new.
  template <class Make>
  int cached(const std::string& key, Make&& make) {
    if (const int known = builder_.find_block(key); known >= 0) return known;
    Graph graph = make();
    graph.name = key;
    return builder_.add_block(std::move(graph));
  }

  // In the order of the backward pass.
  template <class Body>
  void each_scope(Body&& body) {
    if (last_stage()) body("head", head_);
    for (int l = range_.second; l-- > range_.first;) body(layer_scope(l), layer_);
    if (first_stage()) body("embed", embed_);
  }

  bool pipelined() const { return stages_ > 1; }

  std::map<std::string, Type> digits() {
    std::map<std::string, Type> all;
    // Every rank of a pipeline takes part in the same sums, whatever parameters it has.
    for (const Part* part : {&embed_, &layer_, &head_})
      for (const auto& p : part->params)
        all[digits_port(p.state)] = digits_type(p.state, pipelined());
    if (pipelined()) {
      const auto add = [&](std::vector<Axis> split, std::vector<Axis> flat) {
        Type t(DType::f32, {{'e', 1}});
        t.layout.split = {std::move(split)};
        t.layout.flat = std::move(flat);
        all[digits_port(t)] = digits_type(t, true);
      };
      for (const auto& flat : {std::vector<Axis>{}, std::vector<Axis>{Axis::dp}}) {
        if (!flat.empty() && (o_.zero_stage == 0 || o_.mesh.size(Axis::dp) == 1)) continue;
        add({}, flat);
        if (o_.mesh.size(Axis::tp) > 1) add({Axis::tp}, flat);
      }
    }
    return all;
  }

  void zero() {
    std::vector<std::pair<std::string, Type>> values = {{"loss.digits", loss_digits_},
                                                        {"loss.sum", whole_type(loss_digits_)}};
    if (o_.update)
      for (const auto& [port, type] : digits()) values.emplace_back(port, type);
    builder_.call(builder_.add_block(zero_block(values)), {});
  }

  void finish() {
    each_scope([&](const std::string& scope, const Part& part) { reduce(scope, part); });
    if (model_.tied()) tie();
    std::vector<Port> ports;
    std::vector<Type> types;
    if (o_.update) {
      each_scope([&](const std::string& scope, const Part& part) { norm(scope, part); });
      for (const auto& [port, type] : digits()) {
        ports.push_back({port, PortKind::scalar, {}});
        types.push_back(type);
      }
    }
    builder_.call(builder_.add_block(finish_block(ports, types, loss_digits_, o_.optimizer.max_norm,
                                                  layer_.params.front().grad.dtype)),
                  {});
    if (o_.update)
      each_scope([&](const std::string& scope, const Part& part) { update(scope, part); });
  }

  // After this the reduced gradient of p is the buffer "reduced.<scope>.<p>".
  void reduce(const std::string& scope, const Part& part) {
    Scope s{scope, -1, -1, 0, {}};
    const int block =
        cached("reduce." + kind_of_scope(scope), [&] { return reduce_block(part.params); });
    for (const auto& p : part.params) {
      const std::string grad = grad_name(scope, p.name, 0),
                        reduced = fmt::format("reduced.{}.{}", scope, p.name);
      if (p.grad.layout == p.state.layout) builder_.rename(reduced, grad);
      else builder_.share(reduced, p.state, grad);
      s.bound["grad." + p.name] = grad;
      s.bound["reduced." + p.name] = reduced;
    }
    builder_.call(block, s);
  }

  void tie() {
    const auto table =
        std::find_if(embed_.params.begin(), embed_.params.end(),
                     [&](const ParamPort& p) { return p.name == model_.tied_embed; });
    builder_.call(builder_.add_block(tie_block(table->state)),
                  {"embed",
                   -1,
                   -1,
                   0,
                   {{"grad.to", "reduced.embed." + model_.tied_embed},
                    {"grad.from", "reduced.head." + model_.tied_head}}});
  }

  // The parameters of a scope that are its own: not the second use of a tied one.
  std::vector<ParamPort> owned(const std::string& scope, const Part& part) const {
    std::vector<ParamPort> params = part.params;
    if (model_.tied() && scope == "head")
      std::erase_if(params, [&](const ParamPort& p) { return p.name == model_.tied_head; });
    return params;
  }

  void norm(const std::string& scope, const Part& part) {
    const auto params = owned(scope, part);
    const int block =
        cached("norm." + kind_of_scope(scope), [&] { return norm_block(params, pipelined()); });
    Scope s{scope, -1, -1, 0, {}};
    for (const auto& p : params)
      s.bound["grad." + p.name] = fmt::format("reduced.{}.{}", scope, p.name);
    builder_.call(block, s);
  }

  void update(const std::string& scope, const Part& part) {
    const auto params = owned(scope, part);
    const int block = cached("optimizer." + kind_of_scope(scope),
                             [&] { return optimizer_block(params, o_.optimizer); });
    Scope s{scope, -1, -1, 0, {}};
    for (const auto& p : params) {
      const std::string name = scope + "." + p.name;
      s.bound["grad." + p.name] = "reduced." + name;
      s.bound["m." + p.name] = "m." + name;
      s.bound["v." + p.name] = "v." + name;
      const bool is_param = p.param.dtype == p.state.dtype && p.param.layout == p.state.layout;
      s.bound["master." + p.name] = is_param ? name : "master." + name;
    }
    builder_.call(block, s);
  }

  const ModelGraphs& model_;
  const StepOptions& o_;
  int stage_, stages_;
  std::pair<int, int> range_;
  ProgramBuilder builder_;
  Part embed_, layer_, head_;
  Type border_, loss_digits_;
  int send_next_ = -1, receive_ = -1, send_back_ = -1, receive_back_ = -1;
};

}  // namespace

std::pair<int, int> stage_layers(int layers, int stages, int stage) {
  return {layers * stage / stages, layers * (stage + 1) / stages};
}

Program compile_step(const ModelGraphs& model, const StepOptions& options, int stage) {
  return StepCompiler(model, options, stage).run();
}

std::vector<Program> compile_stages(const ModelGraphs& model, const StepOptions& options) {
  std::vector<Program> stages;
  for (int s = 0; s < options.mesh.size(Axis::pp); ++s)
    stages.push_back(compile_step(model, options, s));
  if (options.last_pass >= Pass::schedule) verify_stages(stages);
  return stages;
}

}  // namespace autarky
