#include <fmt/core.h>

#include "passes/builder.h"
#include "passes/compile.h"
#include "passes/step_blocks.h"
#include "passes/zero.h"

namespace autarky {
namespace {

class ForwardCompiler {
 public:
  ForwardCompiler(const ModelGraphs& model, const StepOptions& o, int stage)
      : model_(model),
        o_(o),
        stage_(stage),
        stages_(o.mesh.size(Axis::pp)),
        range_(stage_layers(model.layers, stages_, stage)),
        builder_(model.name + ".forward", o.mesh, stage) {}

  Program run() {
    if (model_.tied() && stages_ == 1)
      builder_.rename("head." + model_.tied_head, "embed." + model_.tied_embed);
    add_blocks();
    builder_.end_pass(Pass::partition);
    for (int m = 0; m < o_.microbatches; ++m) forward(m);
    if (o_.borrow) builder_.borrow();
    builder_.connect_calls();
    builder_.end_pass(Pass::schedule);
    builder_.plan(o_.scratch);
    builder_.end_pass(Pass::memory);
    return builder_.take();
  }

 private:
  bool first_stage() const { return stage_ == 0; }
  bool last_stage() const { return stage_ == stages_ - 1; }
  static std::string act(int border, int m) { return fmt::format("act.{}.{}", border, m); }

  int block(const Graph& graph) {
    Graph g = partition(graph, o_.rules, o_.mesh);
    g.name += ".F";
    if (o_.zero_stage == 3) gather_parameters(g, o_.mesh);
    return builder_.add_block(std::move(g));
  }

  void add_blocks() {
    Type border = model_.layer.type(model_.layer.find_output("y")->value);
    border.layout = border_layout(border, o_.rules, o_.mesh);
    enter_ = first_stage() ? block(model_.embed)
                           : builder_.add_block(movement_block("receive.x", border, false, -1));
    layer_ = block(model_.layer);
    leave_ = last_stage() ? block(model_.head)
                          : builder_.add_block(movement_block("send.y", border, true, 1));
  }

  void forward(int m) {
    if (first_stage()) builder_.call(enter_, {"embed", -1, m, 0, {{"y", act(0, m)}}});
    else builder_.call(enter_, {"pipe", -1, m, 0, {{"x", act(range_.first, m)}}});
    for (int l = range_.first; l < range_.second; ++l)
      builder_.call(
          layer_, {fmt::format("layer.{}", l), l, m, 0, {{"x", act(l, m)}, {"y", act(l + 1, m)}}});
    Scope end{last_stage() ? "head" : "pipe", -1, m, 0, {{"x", act(range_.second, m)}}};
    if (last_stage()) end.bound.insert(result_buffer(m));
    builder_.call(leave_, end);
  }

  // What the head gives, which the host reads: port and buffer.
  std::pair<std::string, std::string> result_buffer(int m) {
    const Graph& head = builder_.graph(leave_);
    const Port& result = head.outputs.front();
    const std::string name = fmt::format("{}.{}", result.name, m);
    builder_.buffer(name, BufferKind::scalar, head.type(result.value));
    return {result.name, name};
  }

  const ModelGraphs& model_;
  const StepOptions& o_;
  int stage_, stages_;
  std::pair<int, int> range_;
  ProgramBuilder builder_;
  int enter_ = -1, layer_ = -1, leave_ = -1;
};

}  // namespace

Program compile_forward(const ModelGraphs& model, const StepOptions& options, int stage) {
  return ForwardCompiler(model, options, stage).run();
}

}  // namespace autarky
