#include "train/lone_program.h"

#include <algorithm>

namespace autarky {
namespace {

const std::string& name_of(const Program& p, const Call& call) {
  return p.blocks[std::size_t(call.block)].graph.name;
}

bool computes(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& n) { return n.op->movement == Movement::none; });
}

// The first call of each block, and these blocks alone.
void drop_calls(Program& p, const std::set<std::string>& wanted) {
  std::vector<Block> blocks;
  std::vector<Call> calls;
  std::set<std::string> taken;
  for (Call& call : p.calls) {
    const std::string& name = name_of(p, call);
    if (!wanted.contains(name) || !taken.insert(name).second) continue;
    blocks.push_back(p.blocks[std::size_t(call.block)]);
    call.block = int(blocks.size()) - 1;
    call.waits.clear();
    calls.push_back(std::move(call));
  }
  p.blocks = std::move(blocks);
  p.calls = std::move(calls);
}

int memory_of(const Program& p, int buffer) {
  while (p.buffers[std::size_t(buffer)].same_as >= 0)
    buffer = p.buffers[std::size_t(buffer)].same_as;
  return buffer;
}

// Only what a call made before it is read has a lifetime; the rest that is used stays.
void place_by_use(Program& p) {
  std::set<int> used, given;
  for (const Call& call : p.calls) {
    for (int b : call.inputs)
      if (const int memory = memory_of(p, b); used.insert(memory).second) given.insert(memory);
    for (int b : call.outputs) used.insert(memory_of(p, b));
  }
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    Buffer& buffer = p.buffers[b];
    const int memory = memory_of(p, int(b));
    buffer.first = buffer.last = buffer.offset = -1;
    if (!used.contains(memory)) buffer.kind = BufferKind::activation;  // and never called for
    else if (given.contains(memory) && !is_static(buffer.kind)) buffer.kind = BufferKind::data;
  }
}

}  // namespace

std::set<std::string> computing_blocks(const Program& p) {
  std::set<std::string> names;
  for (const Call& call : p.calls)
    if (computes(p.blocks[std::size_t(call.block)].graph)) names.insert(name_of(p, call));
  return names;
}

bool is_update(const Program& p, const std::string& block) {
  return std::none_of(p.calls.begin(), p.calls.end(), [&](const Call& call) {
    return call.microbatch >= 0 && name_of(p, call) == block;
  });
}

Program one_call_of_each(Program p, const std::set<std::string>& blocks,
                         const ScratchBytes& scratch) {
  drop_calls(p, blocks);
  place_by_use(p);
  plan_memory(p, scratch);
  return p;
}

}  // namespace autarky
