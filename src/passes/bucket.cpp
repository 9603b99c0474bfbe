#include "passes/bucket.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "ops/accumulate.h"
#include "ops/movement.h"

namespace autarky {
namespace {

struct Bucket {
  std::vector<std::size_t> members;      // nodes, in order
  std::set<int> needs;                   // open buckets whose results they move
  std::map<char, std::int64_t> extents;  // of their letters, which agree in a node
  std::int64_t bytes = 0;
  bool open = true;
};

// Goes through the nodes in order and puts small collectives into buckets.
class Filler {
 public:
  Filler(const Graph& graph, const Mesh& mesh) : g_(graph), mesh_(mesh) {}

  std::vector<std::vector<std::size_t>> run() {
    for (std::size_t n = 0; n < g_.nodes.size(); ++n) take(n);
    std::vector<std::vector<std::size_t>> joined;
    for (Bucket& b : buckets_)
      if (b.members.size() > 1) joined.push_back(std::move(b.members));
    return joined;
  }

 private:
  void take(std::size_t n) {
    const Node& node = g_.nodes[n];
    std::set<int> needs = needs_of(node);
    if (is_small(node)) {
      const int b = bucket_for(node, needs);
      add(buckets_[std::size_t(b)], n);
      buckets_[std::size_t(b)].needs.merge(needs);
      made_by_[node.out[0].id] = {b};
    } else if (follows(node)) {
      for (Value v : node.out) made_by_[v.id] = needs;
    } else {
      for (int b : needs) end(b);
    }
  }

  // The open buckets that must be emptied before the node.
  std::set<int> needs_of(const Node& node) const {
    std::set<int> needs;
    for (Value v : node.in)
      if (const auto it = made_by_.find(v.id); it != made_by_.end())
        for (int b : it->second)
          if (buckets_[std::size_t(b)].open) needs.insert(b);
    return needs;
  }

  std::int64_t bytes_of(const Node& node) const {
    const Type in[] = {local_type(g_.type(node.in[0]), mesh_)};
    const Type out[] = {local_type(g_.type(node.out[0]), mesh_)};
    return bytes_moved(in, out);
  }
  bool is_small(const Node& node) const {
    return node.op->movement == Movement::collective && queue_of(node).axis &&
           node.in.size() == 1 && bytes_of(node) < kBucketBytes;
  }
  // Next to no work of the rank's own.
  static bool follows(const Node& node) {
    return node.op == &op_info<Slice>() || node.op == &op_info<Accumulate>();
  }

  int bucket_for(const Node& node, const std::set<int>& needs) {
    const auto key = fmt::format("{} {} {} {}", node.op->name, node.op->print(node.attrs),
                                 dtype_name(g_.type(node.in[0]).dtype), int(node.phase));
    const auto [it, fresh] = current_.try_emplace(key, -1);
    int& b = it->second;
    if (b >= 0 && (!fits(node, buckets_[std::size_t(b)]) || waits_for(needs, b))) end(b);
    if (b < 0 || !buckets_[std::size_t(b)].open) {
      b = int(buckets_.size());
      buckets_.emplace_back();
    }
    return b;
  }

  bool fits(const Node& node, const Bucket& bucket) const {
    const auto& dims = g_.type(node.in[0]).dims;
    return bucket.open && bucket.bytes < kBucketBytes &&
           std::all_of(dims.begin(), dims.end(), [&](const Dim& d) {
             const auto it = bucket.extents.find(d.name);
             return it == bucket.extents.end() || it->second == d.extent;
           });
  }
  void add(Bucket& bucket, std::size_t n) const {
    bucket.members.push_back(n);
    bucket.bytes += bytes_of(g_.nodes[n]);
    for (const Dim& d : g_.type(g_.nodes[n].in[0]).dims) bucket.extents[d.name] = d.extent;
  }

  // Whether one of `from` is `bucket` or comes after it.
  bool waits_for(const std::set<int>& from, int bucket) const {
    return std::any_of(from.begin(), from.end(), [&](int b) {
      return b == bucket || waits_for(buckets_[std::size_t(b)].needs, bucket);
    });
  }

  // Takes no more, and neither do those before it.
  void end(int b) {
    Bucket& bucket = buckets_[std::size_t(b)];
    bucket.open = false;
    for (int before : std::exchange(bucket.needs, {})) end(before);
  }

  const Graph& g_;
  const Mesh& mesh_;
  std::vector<Bucket> buckets_;
  std::map<std::string, int> current_;    // the one to fill, by what may be joined
  std::map<int, std::set<int>> made_by_;  // by value: buckets it waits for
};

Node join(const Graph& graph, const std::vector<std::size_t>& members) {
  Node joined = graph.nodes[members.front()];
  std::set<std::string_view> sources = {joined.source};
  std::string all = joined.source;
  for (std::size_t i = 1; i < members.size(); ++i) {
    const Node& node = graph.nodes[members[i]];
    joined.in.push_back(node.in[0]);
    joined.out.push_back(node.out[0]);
    if (sources.insert(node.source).second) all += ", " + node.source;
  }
  joined.source = std::move(all);
  return joined;
}

// In their order, but none before what it reads.
std::vector<Node> in_order(const Graph& graph, std::vector<Node> nodes) {
  std::vector<bool> given(graph.values.size());
  for (const Port& p : graph.inputs) given[std::size_t(p.value.id)] = true;
  const auto ready = [&](const Node& node) {
    return std::all_of(node.in.begin(), node.in.end(),
                       [&](Value v) { return given[std::size_t(v.id)]; });
  };
  std::vector<Node> order, waiting;
  for (Node& next : nodes) {
    waiting.push_back(std::move(next));
    for (auto it = std::find_if(waiting.begin(), waiting.end(), ready); it != waiting.end();
         it = std::find_if(waiting.begin(), waiting.end(), ready)) {
      for (Value v : it->out) given[std::size_t(v.id)] = true;
      order.push_back(std::move(*it));
      waiting.erase(it);
    }
  }
  AUTARKY_CHECK(waiting.empty(), "buckets of " + graph.name + " wait for each other");
  return order;
}

}  // namespace

void fill_buckets(Graph& graph, const Mesh& mesh) {
  const auto buckets = Filler(graph, mesh).run();
  if (buckets.empty()) return;
  std::map<std::size_t, const std::vector<std::size_t>*> of;
  for (const auto& bucket : buckets)
    for (std::size_t n : bucket) of[n] = &bucket;
  std::vector<Node> nodes;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const auto it = of.find(n);
    if (it == of.end()) nodes.push_back(graph.nodes[n]);
    else if (n == it->second->back()) nodes.push_back(join(graph, *it->second));
  }
  graph.nodes = in_order(graph, std::move(nodes));
  remove_unused(graph);
}

void fill_buckets(Program& program) {
  for (Block& block : program.blocks) fill_buckets(block.graph, program.mesh);
}

}  // namespace autarky
