#include "passes/fuse.h"

#include <algorithm>
#include <map>

#include "ops/accumulate.h"
#include "ops/cross_entropy.h"

namespace autarky {
namespace {

int uses(const Graph& graph, Value v) {
  int n = 0;
  for (const auto& node : graph.nodes) n += int(std::count(node.in.begin(), node.in.end(), v));
  for (const auto& p : graph.outputs) n += p.value == v;
  return n;
}

void fuse_accumulation(Graph& graph) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].op != &op_info<Accumulate>()) continue;
    const Value accumulator = graph.nodes[i].in[0], addend = graph.nodes[i].in[1];
    const int p = graph.producer(addend);
    if (p < 0 || uses(graph, addend) != 1 || graph.input_of(accumulator) == nullptr) continue;
    Node& producer = graph.nodes[std::size_t(p)];
    const auto output =
        int(std::find(producer.out.begin(), producer.out.end(), addend) - producer.out.begin());
    auto attrs = producer.op->accumulating(producer.attrs, output);
    if (!attrs || graph.type(addend).dtype != graph.type(accumulator).dtype) continue;
    producer.attrs = std::move(*attrs);
    producer.in.push_back(accumulator);
    producer.out[std::size_t(output)] = graph.nodes[i].out[0];
    graph.nodes.erase(graph.nodes.begin() + std::ptrdiff_t(i--));
  }
}

// The node that makes `v`, if it is one of that operation.
template <Operation Op>
const Node* made_by(const Graph& graph, Value v) {
  const int p = graph.producer(v);
  return p >= 0 && graph.nodes[std::size_t(p)].op == &op_info<Op>() ? &graph.nodes[std::size_t(p)]
                                                                    : nullptr;
}

const Node* loss_of(const Graph& graph, const Node& stats) {
  for (const auto& node : graph.nodes)
    if (node.op == &op_info<TokenLoss>() && node.in[0] == stats.out[0] &&
        node.in[1] == stats.out[1])
      return &node;
  return nullptr;
}

void fuse_cross_entropy(Graph& graph) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& grad = graph.nodes[i];
    if (grad.op != &op_info<VocabStatsGrad>()) continue;
    const Node* stats = made_by<VocabStats>(graph, grad.in[3]);
    const Node* d_loss = made_by<TokenLossGrad>(graph, grad.in[4]);
    if (!stats || !d_loss || d_loss->out[1] != grad.in[5]) continue;
    const Node* loss = loss_of(graph, *stats);
    if (!loss || stats->in[0] != grad.in[0] || stats->in[1] != grad.in[1]) continue;
    const DType out = std::any_cast<VocabStatsGrad::Attrs>(grad.attrs).out;
    // The fused node stands where the loss was made: every operand is there, every use comes later.
    Node fused{&op_info<LinearCrossEntropy>(),
               LinearCrossEntropy::Attrs{out},
               {stats->in[0], stats->in[1], stats->in[2], d_loss->in[0]},
               {loss->out[0], grad.out[0], grad.out[1]},
               Phase::forward,
               stats->source,
               stats->number};
    const auto at = loss - graph.nodes.data();
    graph.nodes.erase(graph.nodes.begin() + std::ptrdiff_t(i));
    graph.nodes[std::size_t(at)] = std::move(fused);
    remove_unused(graph);
    return;
  }
}

Type logits_type(const Graph& graph, const Node& stats) {
  const Type &x = graph.type(stats.in[0]), &w = graph.type(stats.in[1]);
  Type t(graph.type(stats.out[0]).dtype, {x.dims[0], x.dims[1], w.dims[0]});
  t.layout.split = {x.layout.split[0], x.layout.split[1], w.layout.split[0]};
  return t;
}

// Logits that the gradient would make again, a quarter of the work, are handed to it.
void keep_logits(Graph& graph) {
  for (std::size_t g = 0; g < graph.nodes.size(); ++g) {
    const auto* attrs = std::any_cast<VocabStatsGrad::Attrs>(&graph.nodes[g].attrs);
    if (!attrs || attrs->kept) continue;
    const auto same = [&](const Node& n) {
      return n.op == &op_info<VocabStats>() &&
             std::equal(n.in.begin(), n.in.end(), graph.nodes[g].in.begin());
    };
    const auto stats = std::find_if(graph.nodes.begin(), graph.nodes.end(), same);
    if (stats == graph.nodes.end()) continue;
    const Value logits = graph.new_value(logits_type(graph, *stats));
    stats->attrs = VocabStats::Attrs{true};
    stats->out.push_back(logits);
    graph.nodes[g].attrs = VocabStatsGrad::Attrs{attrs->out, true};
    graph.nodes[g].in.push_back(logits);
  }
}

}  // namespace

void fuse(Graph& graph) {
  fuse_cross_entropy(graph);
  keep_logits(graph);
  fuse_accumulation(graph);
  remove_unused(graph);
}

}  // namespace autarky
