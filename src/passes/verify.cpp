#include "passes/verify.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <set>
#include <unordered_set>

#include "base/error.h"

namespace autarky {
namespace {

[[noreturn]] void broken(std::string_view block, std::string_view why) {
  throw Error(fmt::format("the graph is broken: {}", why)).at(fmt::format("block {}", block));
}

void verify_names(const Program& p) {
  std::unordered_set<std::string_view> blocks, buffers;
  if (!is_word(p.name)) throw Error(fmt::format("the program's name '{}' is not a word", p.name));
  for (const auto& b : p.blocks)
    if (!blocks.insert(b.graph.name).second) broken(b.graph.name, "two blocks have this name");
  for (const auto& b : p.buffers) {
    if (!is_word(b.name)) throw Error(fmt::format("buffer name '{}' is not a word", b.name));
    if (!buffers.insert(b.name).second)
      throw Error(fmt::format("two buffers have the name {}", b.name));
  }
}

}  // namespace

void verify(const Program& p) {
  try {
    verify_names(p);
    if (p.after < Pass::schedule && !(p.calls.empty() && p.buffers.empty()))
      throw Error("the program has calls or buffers before schedule");
    for (const auto& block : p.blocks) {
      verify(block.graph);
      if (p.after == Pass::autodiff) verify_whole(block.graph);
      if (p.after <= Pass::partition) verify_joint(block.graph);
      if (p.after >= Pass::partition) verify_layouts(block.graph, p.mesh);
    }
    if (p.after >= Pass::recompute) verify_cut(p);
    if (p.after >= Pass::schedule) verify_calls(p);
    if (p.after >= Pass::memory) verify_memory(p);
  } catch (Error& e) {
    e.at(fmt::format("{} after {}", p.name, pass_name(p.after)));
    throw;
  }
}

void verify_whole(const Graph& g) {
  for (const Type& type : g.values)
    if (!(type.layout == whole_type(type).layout))
      broken(g.name, fmt::format("{} has a layout before partition", to_string(type)));
  for (const auto& node : g.nodes)
    if (node.op->movement != Movement::none)
      broken(g.name, fmt::format("{} moves a value before partition", node.op->name));
}

void verify_joint(const Graph& g) {
  std::set<int> backward;
  for (const auto& node : g.nodes) {
    for (Value v : node.in)
      if (node.phase == Phase::forward && backward.contains(v.id))
        broken(g.name, fmt::format("{} ({}) of the forward reads %{} of the backward",
                                   node.op->name, node.source, v.id));
    if (node.phase == Phase::backward)
      for (Value v : node.out) backward.insert(v.id);
  }
  for (const auto& p : g.outputs) {
    if (p.kind != PortKind::grad) continue;
    const Port* accumulator = g.find_input(p.name);
    if (!accumulator || accumulator->kind != PortKind::grad)
      broken(g.name, fmt::format("{} has no accumulator", p.name));
    if (!(g.type(accumulator->value) == g.type(p.value)))
      broken(g.name, fmt::format("{} is {}, its accumulator {}", p.name, to_string(g.type(p.value)),
                                 to_string(g.type(accumulator->value))));
  }
}

namespace {

// What a block may read that others of its part of the model have kept: "layer.B" of "layer.F",
// "layer.W" of both.
std::vector<std::string> keepers_of(const std::string& name) {
  const auto dot = name.find('.');
  const std::string part = name.substr(0, dot);
  std::vector<std::string> keepers = {part + ".F"};
  if (dot != name.npos && name.substr(dot).starts_with(".W")) keepers.push_back(part + ".B");
  return keepers;
}

const Type* kept_type(const Program& p, const std::string& block, const std::string& port) {
  const int b = p.find_block(block);
  if (b < 0) return nullptr;
  const Graph& g = p.blocks[std::size_t(b)].graph;
  const Port* kept = g.find_output(port);
  return kept ? &g.type(kept->value) : nullptr;
}

void verify_kept(const Program& p, const Graph& g, const Port& port) {
  const auto keepers = keepers_of(g.name);
  for (const auto& keeper : keepers) {
    const Type* type = kept_type(p, keeper, port.name);
    if (!type) continue;
    if (!(*type == g.type(port.value)))
      broken(g.name, fmt::format("{} is {}, but {} keeps {}", port.name,
                                 to_string(g.type(port.value)), keeper, to_string(*type)));
    return;
  }
  broken(g.name,
         fmt::format("{} is read and {} does not keep it", port.name, fmt::join(keepers, " or ")));
}

}  // namespace

void verify_cut(const Program& p) {
  for (const auto& block : p.blocks) {
    const Graph& g = block.graph;
    if (g.name.ends_with(".F"))
      for (const auto& node : g.nodes)
        if (node.phase == Phase::backward)
          broken(g.name, fmt::format("{} ({}) is of the backward", node.op->name, node.source));
    for (const auto& port : g.inputs)
      if (port.kind == PortKind::saved) verify_kept(p, g, port);
  }
}

}  // namespace autarky
