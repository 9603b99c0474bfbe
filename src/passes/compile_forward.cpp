#include <fmt/core.h>

#include "passes/bucket.h"
#include "passes/builder.h"
#include "passes/compile.h"
#include "passes/step_blocks.h"
#include "passes/zero.h"

namespace autarky {
namespace {

// Micro-batch after micro-batch through the stage's chunks of layers; chunk c of stage s is part
// c * stages + s of the model.
class ForwardCompiler {
 public:
  ForwardCompiler(const ModelGraphs& model, const StepOptions& o, int stage)
      : model_(model),
        o_(o),
        stage_(stage),
        stages_(o.mesh.size(Axis::pp)),
        parts_(part_layers(model.layers, o)),
        builder_(model.name + ".forward", o.mesh, stage) {}

  Program run() {
    if (model_.tied()) builder_.rename("head." + model_.tied_head, "embed." + model_.tied_embed);
    add_blocks();
    builder_.end_pass(Pass::partition);
    for (int m = 0; m < o_.microbatches; ++m)
      for (int part = stage_; part < int(parts_.size()); part += stages_) forward(part, m);
    if (o_.zero_stage == 3) builder_.apply(gather_ahead);
    if (o_.borrow) builder_.borrow();
    builder_.connect_calls();
    builder_.end_pass(Pass::schedule);
    builder_.apply([](Program& p) { fill_buckets(p); });
    builder_.end_pass(Pass::bucket);
    builder_.plan(o_.scratch);
    builder_.end_pass(Pass::memory);
    return builder_.take();
  }

 private:
  bool is_last(int part) const { return part + 1 == int(parts_.size()); }
  static std::string act(int border, int m) { return fmt::format("act.{}.{}", border, m); }

  int block(const Graph& graph) {
    Graph g = partition(graph, o_.rules, o_.mesh);
    g.name += ".F";
    return builder_.add_block(std::move(g));
  }

  void add_blocks() {
    if (stage_ == 0) embed_ = block(model_.embed);
    layer_ = block(model_.layer);
    if (stage_ == stages_ - 1) head_ = block(model_.head);
    if (stages_ == 1) return;
    Type border = model_.layer.type(model_.layer.find_output("y")->value);
    border.layout = border_layout(border, o_.rules, o_.mesh);
    const int before = (stage_ + stages_ - 1) % stages_, next = (stage_ + 1) % stages_;
    receive_ = builder_.add_block(movement_block("receive.x", border, false, before - stage_));
    send_ = builder_.add_block(movement_block("send.y", border, true, next - stage_));
  }

  void forward(int part, int m) {
    const auto [first, end] = parts_[std::size_t(part)];
    if (part == 0) builder_.call(embed_, {"embed", -1, m, 0, {{"y", act(0, m)}}});
    else if (stages_ > 1) builder_.call(receive_, {"pipe", -1, m, 0, {{"x", act(first, m)}}});
    for (int l = first; l < end; ++l)
      builder_.call(
          layer_, {fmt::format("layer.{}", l), l, m, 0, {{"x", act(l, m)}, {"y", act(l + 1, m)}}});
    Scope after{is_last(part) ? "head" : "pipe", -1, m, 0, {{"x", act(end, m)}}};
    if (is_last(part)) after.bound.insert(result_buffer(m));
    else if (stages_ == 1) return;
    builder_.call(is_last(part) ? head_ : send_, after);
  }

  // What the head gives, which the host reads: port and buffer.
  std::pair<std::string, std::string> result_buffer(int m) {
    const Graph& head = builder_.graph(head_);
    const Port& result = head.outputs.front();
    const std::string name = fmt::format("{}.{}", result.name, m);
    builder_.buffer(name, BufferKind::scalar, head.type(result.value));
    return {result.name, name};
  }

  const ModelGraphs& model_;
  const StepOptions& o_;
  int stage_, stages_;
  std::vector<std::pair<int, int>> parts_;  // layers
  ProgramBuilder builder_;
  int embed_ = -1, layer_ = -1, head_ = -1, receive_ = -1, send_ = -1;
};

}  // namespace

Program compile_forward(const ModelGraphs& model, const StepOptions& options, int stage) {
  return ForwardCompiler(model, options, stage).run();
}

}  // namespace autarky
