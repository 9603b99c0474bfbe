#include "passes/compile.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "passes/autodiff.h"
#include "passes/bucket.h"
#include "passes/fuse.h"
#include "passes/step_context.h"
#include "passes/verify.h"
#include "passes/zero.h"

namespace autarky {

StepContext::StepContext(const ModelGraphs& graphs, const StepOptions& options, int at_stage)
    : model(graphs),
      o(options),
      stage(at_stage),
      stages(o.mesh.size(Axis::pp)),
      layers(part_layers(model.layers, o)),
      schedule(make_schedule(o.schedule, stages, o.chunks, o.microbatches)),
      builder(model.name + ".step", o.mesh, stage) {
  border = model.layer.type(model.layer.find_output("y")->value);
  border.layout = border_layout(border, o.rules, o.mesh);
}

std::string StepContext::layer_scope(int layer) { return fmt::format("layer.{}", layer); }

PartBlocks& StepContext::part_of(std::string_view block) {
  return block == "embed" ? embed : block == "layer" ? layer : head;
}

namespace {

bool is_head(const Graph& graph) { return graph.name == "head"; }
bool has_gradients(const Graph& graph) {
  return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                     [](const Port& p) { return p.kind == PortKind::grad; });
}

class StepCompiler {
 public:
  StepCompiler(const ModelGraphs& model, const StepOptions& o, int stage) : c_(model, o, stage) {}

  Program run() {
    int pass = 0;
    for (const auto run_pass :
         {&StepCompiler::autodiff, &StepCompiler::partition_blocks, &StepCompiler::recompute,
          &StepCompiler::fuse_blocks, &StepCompiler::schedule, &StepCompiler::bucket,
          &StepCompiler::memory}) {
      if (pass > int(c_.o.last_pass)) break;
      (this->*run_pass)();
      c_.builder.end_pass(static_cast<Pass>(pass++));
    }
    return c_.builder.take();
  }

 private:
  static std::vector<Graph> one(Graph graph) {
    std::vector<Graph> list;
    list.push_back(std::move(graph));
    return list;
  }

  static Graph joint_of(const Graph& forward) {
    Graph joint = differentiate(forward);
    if (is_head(joint)) sum_losses(joint);
    for (std::size_t i = 0; i < joint.nodes.size(); ++i) joint.nodes[i].number = int(i);
    return joint;
  }

  void autodiff() {
    if (c_.first_stage()) c_.builder.add_block(c_.model.embed);
    c_.builder.add_block(c_.model.layer);
    if (c_.last_stage()) c_.builder.add_block(c_.model.head);
    c_.builder.each_block([](const Graph& forward) { return one(joint_of(forward)); });
  }

  void partition_blocks() {
    c_.builder.each_block([&](const Graph& joint) { return one(parted(joint)); });
    // What all stages must know of those that have these blocks.
    if (!c_.first_stage()) parted(joint_of(c_.model.embed));
    if (!c_.last_stage()) parted(joint_of(c_.model.head));
  }

  Graph parted(const Graph& joint) {
    Graph graph = partition(joint, c_.o.rules, c_.o.mesh);
    if (is_head(graph)) open_head(graph);
    if (c_.o.zero_stage >= 2) shard_gradients(graph, c_.o.mesh);
    c_.part_of(graph.name).params = param_ports(graph);
    return graph;
  }

  void open_head(Graph& head) {
    // The loss's gradient is data: the host fills it before the step for every micro-batch.
    for (auto& p : head.inputs)
      if (p.name == "dloss") p.kind = PortKind::data;
    // The stages without a head hold zeros.
    for (const Port* digits : {head.find_input("loss.digits"), head.find_output("loss.digits")})
      if (c_.pipelined()) head.type(digits->value).layout.add_partial({Axis::pp, Combine::sum});
    c_.loss_digits = head.type(head.find_input("loss.digits")->value);
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
    state.layout.flat = zero_axes(c_.o.zero_stage, param, c_.o.mesh);
    if (c_.o.zero_stage == 3) param.layout.flat = state.layout.flat;
    return {name, param, grad, state, !c_.model.undecayed.contains(name)};
  }

  // The head's forward and backward run at once.
  void recompute() {
    c_.builder.each_block([&](Graph joint) {
      if (is_head(joint)) {
        joint.name += ".FB";
        return one(std::move(joint));
      }
      CutBlock parts = cut(joint, c_.o.recompute, c_.schedule.splits_backward());
      std::vector<Graph> made = one(std::move(parts.forward));
      for (Graph* part : {&parts.backward, &parts.weights})
        if (!part->nodes.empty()) made.push_back(std::move(*part));
      return made;
    });
  }

  void fuse_blocks() {
    c_.builder.each_block([&](Graph graph) {
      std::vector<Graph> made;
      if (has_gradients(graph)) made.push_back(without_accumulation(graph));
      made.push_back(std::move(graph));
      for (Graph& g : made) fuse(g);
      return made;
    });
  }

  void find_parts() {
    const auto find = [&](const std::string& name, int otherwise) {
      const int block = c_.builder.find_block(name);
      return block < 0 ? otherwise : block;
    };
    for (const std::string name : {"embed", "layer", "head"}) {
      const std::string backward = name + (name == "head" ? ".FB" : ".B"), weights = name + ".W";
      PartBlocks& part = c_.part_of(name);
      part.forward = find(name + ".F", -1);
      part.backward = find(backward, -1);
      part.backward_first = find(backward + ".first", part.backward);
      part.weights = find(weights, -1);
      part.weights_first = find(weights + ".first", part.weights);
      if (part.weights >= 0)
        for (const auto& p : part.params)
          if (c_.builder.graph(part.weights).find_output("grad." + p.name))
            part.late.insert(p.name);
    }
  }

  void schedule() {
    find_parts();
    if (c_.model.tied())
      c_.builder.rename("head." + c_.model.tied_head, "embed." + c_.model.tied_embed);
    add_zero(c_);
    add_slots(c_);
    add_finish(c_);
    if (c_.o.zero_stage == 3) c_.builder.apply(gather_ahead);
    c_.builder.connect_calls();
  }

  void bucket() {
    c_.builder.apply([](Program& p) { fill_buckets(p); });
  }

  void memory() { c_.builder.plan(c_.o.scratch); }

  StepContext c_;
};

}  // namespace

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
