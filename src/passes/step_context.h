// What the makers of a step's calls share: the options, the compiled blocks, the stage's place.
#pragma once
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "passes/builder.h"
#include "passes/compile.h"
#include "passes/step_blocks.h"

namespace autarky {

// The blocks of one part of the model, -1 where there is none. `first`: of a micro-batch that opens
// a lane.
struct PartBlocks {
  int forward = -1;
  int backward = -1, backward_first = -1;
  int weights = -1, weights_first = -1;
  std::vector<ParamPort> params;  // on every stage, also where no block is
  std::set<std::string> late;     // of these, those whose gradients `weights` makes
};

struct StepContext {
  StepContext(const ModelGraphs& graphs, const StepOptions& options, int at_stage);

  bool pipelined() const { return stages > 1; }
  bool first_stage() const { return stage == 0; }
  bool last_stage() const { return stage == stages - 1; }
  // The layers of a chunk of this stage.
  std::pair<int, int> layers_of(int chunk) const {
    return layers[std::size_t(schedule.part_of(stage, chunk))];
  }
  static std::string layer_scope(int layer);
  PartBlocks& part_of(std::string_view block);
  // Body(scope, blocks) for what a chunk has parameters of, in the order of the backward pass.
  template <class Body>
  void each_scope(int chunk, Body&& body) const {
    if (last_stage() && chunk == o.chunks - 1) body("head", head);
    const auto [first, end] = layers_of(chunk);
    for (int l = end; l-- > first;) body(layer_scope(l), layer);
    if (first_stage() && chunk == 0) body("embed", embed);
  }
  template <class Body>
  void each_scope(Body&& body) const {
    for (int chunk = o.chunks; chunk-- > 0;) each_scope(chunk, body);
  }
  // The block of that name, made if it is new.
  template <class Make>
  int cached(const std::string& name, Make&& make) {
    if (const int known = builder.find_block(name); known >= 0) return known;
    Graph graph = make();
    graph.name = name;
    return builder.add_block(std::move(graph));
  }
  // "layer.3" -> "layer"
  static std::string kind_of_scope(const std::string& scope) {
    return scope.substr(0, scope.find('.'));
  }

  const ModelGraphs& model;
  const StepOptions& o;
  int stage, stages;
  std::vector<std::pair<int, int>> layers;  // by part
  Schedule schedule;
  ProgramBuilder builder;
  PartBlocks embed, layer, head;
  Type border, loss_digits;
};

// The accumulator of a parameter at a depth of the tree of lanes.
std::string grad_name(const std::string& scope, const std::string& param, int depth);

// The calls of a step: micro-batches and lanes as the schedule orders them ...
void add_slots(StepContext& context);
// ... and among them, as soon as a scope's gradients are whole, their reduction over ranks, which
// goes on beside the rest of the backward pass. After it that of p is "reduced.<scope>.<p>" ...
void add_reduction(StepContext& context, const std::string& scope, const PartBlocks& part);
// ... before them the sums that start at zero; after them what comes once per step: tied weights,
// norm, optimizer.
void add_zero(StepContext& context);
void add_finish(StepContext& context);

}  // namespace autarky
