// Puts blocks, calls and buffers of a program together: ports are bound to buffers by their names.
#pragma once
#include <map>
#include <string>

#include "passes/memory.h"
#include "passes/schedule.h"

namespace autarky {

// What the names of a call's ports are completed with.
struct Scope {
  std::string name;  // "embed", "layer.3", "head": parameters, gradients and kept values
  int layer = -1;
  int microbatch = -1;                       // data and activations
  int depth = 0;                             // of the gradient accumulator in the tree of lanes
  std::map<std::string, std::string> bound;  // port -> buffer, where the rule below does not fit
};

class ProgramBuilder {
 public:
  ProgramBuilder(std::string name, const Mesh& mesh, int stage);

  int add_block(Graph graph);
  const Graph& graph(int block) const { return program_.blocks[std::size_t(block)].graph; }
  int find_block(std::string_view name) const { return program_.find_block(name); }
  // Every block becomes those that `pass` makes of it, in the same order.
  void each_block(const std::function<std::vector<Graph>(Graph)>& pass);
  // Verifies what has been made so far: called after every pass.
  void end_pass(Pass pass);
  // A block without nodes is not called. Ports not in scope.bound: param `<port>` ->
  // "<scope>.<port>"; grad "grad.<p>" -> "grad.<scope>.<p>" (depth d: "grad.<d>.<scope>.<p>");
  // saved -> "<scope>.<port>.<m>"; data ->
  // "<port>.<m>"; state "cache.<c>" -> "<scope>.cache.<c>"; other state and scalar -> "<port>".
  void call(int block, const Scope& scope);
  // The buffer of that name, made if it is new.
  int buffer(const std::string& name, BufferKind kind, const Type& type);
  void rename(const std::string& name,
              const std::string& target);  // every use of `name` means `target`
  int share(const std::string& name, const Type& type, const std::string& memory_of);
  // Changes the calls, when all are made.
  void apply(const std::function<void(Program&)>& change) { change(program_); }
  // Marks weights, caches and constants as lying in another session's memory.
  void borrow();
  void connect_calls() { connect(program_); }
  void plan(const ScratchBytes& scratch) { plan_memory(program_, scratch); }
  Program take() { return std::move(program_); }

 private:
  int bind(const Port& port, const Type& type, const Scope& scope);
  Program program_;
  std::map<std::string, int> by_name_;
  std::map<std::string, std::string> renamed_;
};

}  // namespace autarky
