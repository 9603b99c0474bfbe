#include <fmt/core.h>

#include "passes/builder.h"
#include "passes/compile.h"

namespace autarky {

Program compile_forward(const ModelGraphs& model, const StepOptions& o, int stage) {
  ProgramBuilder builder(model.name + ".forward", o.mesh, stage);
  if (model.tied()) builder.rename("head." + model.tied_head, "embed." + model.tied_embed);
  const auto block = [&](const Graph& graph) {
    Graph g = partition(graph, o.rules, o.mesh);
    g.name += ".F";
    return builder.add_block(std::move(g));
  };
  const int embed = block(model.embed), layer = block(model.layer), head = block(model.head);
  builder.end_pass(Pass::partition);
  const Port result = builder.graph(head).outputs.front();
  const Type result_type = builder.graph(head).type(result.value);
  const auto act = [](int border, int m) { return fmt::format("act.{}.{}", border, m); };
  for (int m = 0; m < o.microbatches; ++m) {
    builder.call(embed, {"embed", -1, m, 0, {{"y", act(0, m)}}});
    for (int l = 0; l < model.layers; ++l)
      builder.call(layer,
                   {fmt::format("layer.{}", l), l, m, 0, {{"x", act(l, m)}, {"y", act(l + 1, m)}}});
    const std::string name = fmt::format("{}.{}", result.name, m);
    builder.buffer(name, BufferKind::scalar, result_type);
    builder.call(head, {"head", -1, m, 0, {{"x", act(model.layers, m)}, {result.name, name}}});
  }
  if (o.borrow) builder.borrow();
  builder.connect_calls();
  builder.end_pass(Pass::schedule);
  builder.plan(o.scratch);
  builder.end_pass(Pass::memory);
  return builder.take();
}

}  // namespace autarky
