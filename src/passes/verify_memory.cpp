#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "passes/memory.h"
#include "passes/verify.h"

namespace autarky {
namespace {

[[noreturn]] void broken(std::string_view name, std::string_view why) {
  throw Error(fmt::format("the memory plan is broken: {}", why)).at(name);
}

// Ranges of memory in use, none of which may meet.
class Ranges {
 public:
  void take(const Buffer& b) {
    const auto after = used_.lower_bound(b.offset);
    if (after != used_.end() && after->first < b.offset + b.bytes) meet(b, *after->second);
    if (after != used_.begin())
      if (const auto before = std::prev(after); before->first + before->second->bytes > b.offset)
        meet(b, *before->second);
    used_[b.offset] = &b;
  }
  void give(const Buffer& b) { used_.erase(b.offset); }

 private:
  [[noreturn]] static void meet(const Buffer& a, const Buffer& b) {
    broken("buffer " + a.name, fmt::format("it meets {} in memory", b.name));
  }
  std::map<std::int64_t, const Buffer*> used_;
};

void verify_place(const Program& p, const Buffer& b) {
  const auto bytes = local_type(b.type, p.mesh).bytes();
  const std::string name = "buffer " + b.name;
  if (b.bytes != bytes) broken(name, fmt::format("it has {} bytes, its type {}", b.bytes, bytes));
  if (b.borrowed || (!is_static(b.kind) && b.first < 0)) return;
  if (b.same_as >= 0) {
    const Buffer& other = p.buffers[std::size_t(b.same_as)];
    if (!is_static(b.kind) || b.offset != other.offset || b.bytes > other.bytes)
      broken(name, fmt::format("it does not lie in the memory of {}", other.name));
  }
  const std::int64_t begin = is_static(b.kind) ? 0 : p.static_bytes;
  const std::int64_t end = is_static(b.kind) ? p.static_bytes : p.static_bytes + p.slot_bytes;
  if (b.offset < begin || b.offset + b.bytes > end)
    broken(name, fmt::format("{} .. {} is not in its part of the arena, {} .. {}", b.offset,
                             b.offset + b.bytes, begin, end));
  if (b.offset % kMemoryAlign != 0)
    broken(name, fmt::format("its offset {} is no multiple of {}", b.offset, kMemoryAlign));
}

void verify_lifetimes(const Program& p) {
  std::vector<std::pair<int, int>> used(p.buffers.size(), {-1, -1});
  for (std::size_t c = 0; c < p.calls.size(); ++c)
    for (const auto* side : {&p.calls[c].inputs, &p.calls[c].outputs})
      for (int b : *side) {
        auto& [first, last] = used[std::size_t(b)];
        if (first < 0) first = int(c);
        last = int(c);
      }
  for (std::size_t b = 0; b < used.size(); ++b)
    if (used[b] != std::pair(p.buffers[b].first, p.buffers[b].last))
      broken("buffer " + p.buffers[b].name,
             fmt::format("it is used in calls {}..{}, planned for {}..{}", used[b].first,
                         used[b].second, p.buffers[b].first, p.buffers[b].last));
}

void verify_apart(const Program& p) {
  Ranges ranges;
  std::vector<std::vector<const Buffer*>> starts(p.calls.size()), ends(p.calls.size());
  for (const auto& b : p.buffers) {
    if (b.borrowed || b.same_as >= 0) continue;
    if (is_static(b.kind)) {
      ranges.take(b);
    } else if (b.first >= 0) {
      starts[std::size_t(b.first)].push_back(&b);
      ends[std::size_t(b.last)].push_back(&b);
    }
  }
  for (std::size_t c = 0; c < starts.size(); ++c) {
    for (const Buffer* b : starts[c]) ranges.take(*b);
    for (const Buffer* b : ends[c]) ranges.give(*b);
  }
}

void verify_frame(const Program& p, const Block& block) {
  const Graph& g = block.graph;
  const Frame& frame = block.frame;
  const std::string name = "frame of " + g.name;
  if (frame.bytes > p.frame_bytes)
    broken(name,
           fmt::format("its {} bytes are more than the program's {}", frame.bytes, p.frame_bytes));
  if (frame.scratch.size() != g.nodes.size()) broken(name, "nodes are not planned");
  std::set<int> outside;
  for (const auto* ports : {&g.inputs, &g.outputs})
    for (const auto& port : *ports) outside.insert(port.value.id);
  for (std::size_t n = 0; n < g.nodes.size(); ++n) {
    if (frame.scratch[n] >= frame.bytes)
      broken(name, fmt::format("the scratch of node {} is outside", n));
    for (Value v : g.nodes[n].out) {
      if (outside.contains(v.id)) continue;
      const auto it = frame.offsets.find(v.id);
      if (it == frame.offsets.end()) broken(name, fmt::format("%{} has no place", v.id));
      const auto end = it->second + local_type(g.type(v), p.mesh).bytes();
      if (it->second < 0 || end > frame.bytes)
        broken(name, fmt::format("%{} ends at {} of {} bytes", v.id, end, frame.bytes));
    }
  }
}

}  // namespace

void verify_memory(const Program& p) {
  verify_lifetimes(p);
  for (const auto& b : p.buffers) verify_place(p, b);
  verify_apart(p);
  for (const auto& block : p.blocks) verify_frame(p, block);
}

}  // namespace autarky
