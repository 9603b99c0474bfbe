#include "passes/builder.h"

#include <fmt/core.h>

#include "base/error.h"
#include "ops/movement.h"
#include "passes/verify.h"

namespace autarky {
namespace {

BufferKind kind_of(const Port& port) {
  switch (port.kind) {
    case PortKind::activation:
      return BufferKind::activation;
    case PortKind::data:
      return BufferKind::data;
    case PortKind::param:
      return BufferKind::param;
    case PortKind::grad:
      return BufferKind::grad;
    case PortKind::state:
      return port.name.starts_with("master.")                             ? BufferKind::master
             : port.name.starts_with("m.") || port.name.starts_with("v.") ? BufferKind::moment
                                                                          : BufferKind::constant;
    case PortKind::saved:
      return BufferKind::saved;
    case PortKind::scalar:
      return BufferKind::scalar;
  }
  return BufferKind::activation;
}

std::string buffer_name(const Port& port, const Scope& scope) {
  switch (port.kind) {
    case PortKind::param:
      return scope.name + "." + port.name;
    case PortKind::grad:
      return scope.depth == 0
                 ? fmt::format("grad.{}.{}", scope.name, port.name.substr(5))
                 : fmt::format("grad.{}.{}.{}", scope.depth, scope.name, port.name.substr(5));
    case PortKind::saved:
      return fmt::format("{}.{}.{}", scope.name, port.name, scope.microbatch);
    case PortKind::data:
      return fmt::format("{}.{}", port.name, scope.microbatch);
    case PortKind::state:
      return port.name.starts_with("cache.") ? scope.name + "." + port.name : port.name;
    default:
      return port.name;
  }
}

// A call runs in the compute queue unless all its nodes move values over one axis.
Queue queue_of_block(const Graph& graph) {
  if (graph.nodes.empty()) return {};
  const Queue first = queue_of(graph.nodes.front());
  for (const auto& node : graph.nodes)
    if (!(queue_of(node) == first)) return {};
  return first;
}

}  // namespace

ProgramBuilder::ProgramBuilder(std::string name, const Mesh& mesh, int stage) {
  program_.name = std::move(name);
  program_.mesh = mesh;
  program_.stage = stage;
}

int ProgramBuilder::add_block(Graph graph) {
  program_.blocks.push_back({std::move(graph), {}});
  return int(program_.blocks.size()) - 1;
}

int ProgramBuilder::buffer(const std::string& wanted, BufferKind kind, const Type& type) {
  const auto renamed = renamed_.find(wanted);
  const std::string& name = renamed == renamed_.end() ? wanted : renamed->second;
  const auto [it, fresh] = by_name_.try_emplace(name, int(program_.buffers.size()));
  if (fresh) program_.buffers.push_back(Buffer{name, kind, type});
  return it->second;
}

void ProgramBuilder::rename(const std::string& name, const std::string& target) {
  renamed_[name] = target;
}

int ProgramBuilder::share(const std::string& name, const Type& type, const std::string& memory_of) {
  const int memory = by_name_.at(memory_of);
  const int b = buffer(name, program_.buffers[std::size_t(memory)].kind, type);
  program_.buffers[std::size_t(b)].same_as = memory;
  return b;
}

int ProgramBuilder::bind(const Port& port, const Type& type, const Scope& scope) {
  const auto it = scope.bound.find(port.name);
  return buffer(it != scope.bound.end() ? it->second : buffer_name(port, scope), kind_of(port),
                type);
}

void ProgramBuilder::call(int block, const Scope& scope) {
  const Graph& graph = program_.blocks[std::size_t(block)].graph;
  if (graph.nodes.empty()) return;
  Call call{block, scope.layer, scope.microbatch, queue_of_block(graph), {}, {}, {}};
  for (const auto& p : graph.inputs) call.inputs.push_back(bind(p, graph.type(p.value), scope));
  for (const auto& p : graph.outputs) call.outputs.push_back(bind(p, graph.type(p.value), scope));
  program_.calls.push_back(std::move(call));
}

void ProgramBuilder::borrow() {
  for (auto& b : program_.buffers)
    b.borrowed = b.kind == BufferKind::param || b.kind == BufferKind::cache ||
                 b.kind == BufferKind::constant;
}

void ProgramBuilder::each_block(const std::function<std::vector<Graph>(Graph)>& pass) {
  std::vector<Block> made;
  for (auto& block : program_.blocks)
    for (auto& graph : pass(std::move(block.graph))) made.push_back({std::move(graph), {}});
  program_.blocks = std::move(made);
}

void ProgramBuilder::end_pass(Pass pass) {
  program_.after = pass;
  verify(program_);
}

}  // namespace autarky
