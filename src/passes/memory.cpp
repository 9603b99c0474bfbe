#include "passes/memory.h"

#include <algorithm>
#include <map>
#include <set>

namespace autarky {
namespace {

std::int64_t align(std::int64_t n) { return (n + kMemoryAlign - 1) / kMemoryAlign * kMemoryAlign; }

// Free ranges of a frame; takes the lowest that fits, grows at the end.
class FreeList {
 public:
  std::int64_t take(std::int64_t bytes) {
    bytes = std::max(align(bytes), kMemoryAlign);
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second < bytes) continue;
      const auto offset = it->first, rest = it->second - bytes;
      free_.erase(it);
      if (rest > 0) free_[offset + bytes] = rest;
      return offset;
    }
    std::int64_t offset = end_;
    if (!free_.empty() && free_.rbegin()->first + free_.rbegin()->second == end_) {
      offset = free_.rbegin()->first;
      free_.erase(std::prev(free_.end()));
    }
    end_ = offset + bytes;
    return offset;
  }
  void give(std::int64_t offset, std::int64_t bytes) {
    bytes = std::max(align(bytes), kMemoryAlign);
    auto it = free_.emplace(offset, bytes).first;
    if (const auto next = std::next(it);
        next != free_.end() && it->first + it->second == next->first) {
      it->second += next->second;
      free_.erase(next);
    }
    if (it == free_.begin()) return;
    if (const auto before = std::prev(it); before->first + before->second == it->first) {
      before->second += it->second;
      free_.erase(it);
    }
  }
  std::int64_t end() const { return end_; }

 private:
  std::map<std::int64_t, std::int64_t> free_;  // offset -> bytes
  std::int64_t end_ = 0;
};

class FramePlanner {
 public:
  FramePlanner(const Graph& graph, const Mesh& mesh, const ScratchBytes& scratch)
      : graph_(graph), mesh_(mesh), scratch_(scratch) {
    for (const auto* ports : {&graph.inputs, &graph.outputs})
      for (const auto& p : *ports) outside_.insert(p.value.id);
    find_roots();
  }

  Frame run() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) place(int(n), graph_.nodes[n]);
    frame_.bytes = free_.end();
    return std::move(frame_);
  }

 private:
  int root(int v) const { return root_[std::size_t(v)]; }

  // A result takes over its input's memory where the operation works in place, the input lies in
  // the frame, and nothing reads the input afterwards.
  void find_roots() {
    std::vector<int> last_read(graph_.values.size(), -1);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
      for (Value v : graph_.nodes[n].in) last_read[std::size_t(v.id)] = int(n);
    root_.resize(graph_.values.size());
    for (std::size_t v = 0; v < root_.size(); ++v) root_[v] = int(v);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      const auto aliases = node.op->aliases(node.attrs, node.in.size());
      for (std::size_t o = 0; o < aliases.size() && o < node.out.size(); ++o) {
        if (aliases[o] < 0) continue;
        const int in = node.in[std::size_t(aliases[o])].id;
        if (!outside_.contains(in) && !outside_.contains(node.out[o].id) &&
            last_read[std::size_t(in)] == int(n))
          root_[std::size_t(node.out[o].id)] = root(in);
      }
    }
    last_use_.assign(graph_.values.size(), -1);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
      for (const auto* side : {&graph_.nodes[n].in, &graph_.nodes[n].out})
        for (Value v : *side) last_use_[std::size_t(root(v.id))] = int(n);
  }

  std::int64_t local_bytes(int v) const { return local_type(graph_.type({v}), mesh_).bytes(); }

  void place(int n, const Node& node) {
    std::vector<Type> in, out;
    for (Value v : node.in) in.push_back(local_type(graph_.type(v), mesh_));
    for (Value v : node.out) out.push_back(local_type(graph_.type(v), mesh_));
    for (Value v : node.out)
      if (root(v.id) == v.id && !outside_.contains(v.id))
        frame_.offsets[v.id] = free_.take(local_bytes(v.id));
    for (Value v : node.out)
      if (const auto it = frame_.offsets.find(root(v.id)); it != frame_.offsets.end())
        frame_.offsets[v.id] = it->second;
    const std::int64_t bytes = scratch_(node, in, out);
    frame_.scratch.push_back(bytes > 0 ? free_.take(bytes) : -1);
    if (bytes > 0) free_.give(frame_.scratch.back(), bytes);
    std::set<int> done;
    for (const auto* side : {&node.in, &node.out})
      for (Value v : *side) {
        const int r = root(v.id);
        if (!outside_.contains(r) && frame_.offsets.contains(r) && last_use_[std::size_t(r)] == n &&
            done.insert(r).second)
          free_.give(frame_.offsets.at(r), local_bytes(r));
      }
  }

  const Graph& graph_;
  const Mesh& mesh_;
  const ScratchBytes& scratch_;
  std::vector<int> root_, last_use_;  // by value
  std::set<int> outside_;
  FreeList free_;
  Frame frame_;
};

void find_lifetimes(Program& program) {
  for (std::size_t c = 0; c < program.calls.size(); ++c)
    for (const auto* side : {&program.calls[c].inputs, &program.calls[c].outputs})
      for (int b : *side) {
        Buffer& buffer = program.buffers[std::size_t(b)];
        if (buffer.first < 0) buffer.first = int(c);
        buffer.last = int(c);
      }
}

// Greedy colouring per size class, in order of the lifetimes' starts: optimal for interval graphs.
void place_slots(Program& program) {
  std::vector<Buffer*> moving;
  for (auto& b : program.buffers)
    if (!is_static(b.kind) && b.first >= 0) moving.push_back(&b);
  std::stable_sort(moving.begin(), moving.end(),
                   [](auto* a, auto* b) { return a->first < b->first; });
  struct Used {
    std::int64_t offset;
    int last;
  };
  std::map<std::int64_t, std::vector<Used>> classes;
  std::int64_t end = program.static_bytes;
  for (Buffer* b : moving) {
    const auto bytes = std::max(align(b->bytes), kMemoryAlign);
    auto& slots = classes[bytes];
    auto it =
        std::find_if(slots.begin(), slots.end(), [&](const Used& u) { return u.last < b->first; });
    if (it == slots.end()) {
      it = slots.insert(slots.end(), Used{end, -1});
      end += bytes;
    }
    it->last = b->last;
    b->offset = it->offset;
  }
  program.slot_bytes = end - program.static_bytes;
}

}  // namespace

void plan_memory(Program& program, const ScratchBytes& scratch) {
  find_lifetimes(program);
  program.static_bytes = program.frame_bytes = 0;
  for (auto& b : program.buffers) {
    b.bytes = local_type(b.type, program.mesh).bytes();
    if (!is_static(b.kind) || b.borrowed) continue;
    b.offset =
        b.same_as >= 0 ? program.buffers[std::size_t(b.same_as)].offset : program.static_bytes;
    if (b.same_as < 0) program.static_bytes += align(b.bytes);
  }
  place_slots(program);
  for (auto& block : program.blocks) {
    block.frame = FramePlanner(block.graph, program.mesh, scratch).run();
    program.frame_bytes = std::max(program.frame_bytes, block.frame.bytes);
  }
}

}  // namespace autarky
