// A graph: nodes in order, values with types, ports to the outside. The body of a block.
#pragma once
#include <any>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "ir/op_info.h"

namespace autarky {

enum class Phase : std::uint8_t { forward, backward };

struct Node {
  const OpInfo* op = nullptr;
  std::any attrs;
  std::vector<Value> in, out;
  Phase phase = Phase::forward;
  std::string source;  // "decoder.cpp:57", where a model asked for it
  // Its place in the block's joint graph as autodiff made it, which knows no layout: the same
  // number is the same operation in every program of the model. -1: a later pass put it in.
  int number = -1;
};

enum class PortKind : std::uint8_t {
  activation,  // crosses a block's border
  data,        // of the micro-batch: ids, positions, segments, targets, loss weights
  param,       // a parameter in the element type that the products use
  grad,        // a gradient accumulator
  state,       // master weights and moments of the optimizer, key/value caches
  saved,       // kept by the forward for the backward
  scalar,      // small numbers: sums, learning rate
};
inline constexpr std::string_view kPortKindNames[] = {"activation", "data",  "param", "grad",
                                                      "state",      "saved", "scalar"};

struct Port {
  std::string name;
  PortKind kind;
  Value value;
};

struct Graph {
  std::string name;
  std::vector<Type> values;  // by id
  std::vector<Node> nodes;
  std::vector<Port> inputs, outputs;
  Phase phase = Phase::forward;  // given to nodes that are added

  const Type& type(Value v) const { return values[std::size_t(v.id)]; }
  Type& type(Value v) { return values[std::size_t(v.id)]; }
  Value new_value(Type t);
  Value add_input(std::string port, PortKind kind, Type t);
  void add_output(std::string port, PortKind kind, Value v);
  // Applies an operation; a bad shape is an InputError that names it and the source line.
  std::vector<Value> add(const OpInfo& op, std::any attrs, std::span<const Value> in,
                         std::string source);
  const Port* find_input(std::string_view port) const;
  const Port* find_output(std::string_view port) const;
  const Port* input_of(Value v) const;  // the port that gives v, or null
  int producer(Value v) const;          // index of the node, or -1
};

std::string source_name(const std::source_location& where);  // "decoder.cpp:57"

// Removes nodes that no output needs, and then values that no port and no node gives: those left
// are numbered anew, inputs first.
void remove_unused(Graph& graph);

// What a node's line says beside what the graph holds; "" or " WORDS".
using NoteOf = std::function<std::string(const Graph& graph, const Node& node)>;
inline std::string no_note(const Graph&, const Node&) { return ""; }

std::string print(const Graph& graph, const NoteOf& note = no_note);
using FindOp = std::function<const OpInfo*(std::string_view name)>;
// The inverse of print with the same notes. InputError names the line, `first_line` being that of
// the text's first.
Graph parse_graph(std::string_view text, const FindOp& find, std::size_t first_line = 1,
                  const NoteOf& note = no_note);

// Every value is given once, and before use; names are words; results' types follow the rules.
// Error names the block and the node.
void verify(const Graph& graph);
// The types of one node's results, by its operation's rule.
void verify(const Graph& graph, const Node& node);
// A name in the text form: not empty, no space, none of "(),;:".
bool is_word(std::string_view name);

}  // namespace autarky
