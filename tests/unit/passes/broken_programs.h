// Access to the parts of a program, to break them, and the message that is then wanted.
#pragma once
#include <gtest/gtest.h>

#include "base/error.h"
#include "passes/verify.h"
#include "unit/passes/tiny_programs.h"

namespace autarky {

inline Program program_after(Pass pass, int tp = 1, int dp = 1, int pp = 1) {
  StepOptions o = small_options(tp, dp, pp);
  o.last_pass = pass;
  return small_program(o);
}

inline Graph& block(Program& p, std::string_view name) {
  return p.blocks.at(std::size_t(p.find_block(name))).graph;
}
inline Node& node(Graph& g, std::string_view op, int nth = 0) {
  for (auto& n : g.nodes)
    if (n.op->name == op && nth-- == 0) return n;
  throw Error("the test finds no such node").at(op);
}
inline Port& input(Graph& g, std::string_view name) {
  return *const_cast<Port*>(g.find_input(name));
}
inline Buffer& buffer(Program& p, std::string_view name) {
  return p.buffers.at(std::size_t(p.find_buffer(name)));
}
inline std::size_t call_of(const Program& p, std::string_view name, int nth = 0) {
  for (std::size_t i = 0; i < p.calls.size(); ++i)
    if (p.blocks[std::size_t(p.calls[i].block)].graph.name == name && nth-- == 0) return i;
  throw Error("the test finds no such call").at(name);
}

template <class Check>
void expect_message(Check&& check, std::initializer_list<std::string_view> parts) {
  try {
    check();
    ADD_FAILURE() << "nothing is found broken; wanted: " << *parts.begin();
  } catch (const Error& e) {
    for (const auto part : parts)
      EXPECT_NE(std::string_view(e.what()).find(part), std::string_view::npos) << e.what();
  }
}
inline void expect_broken(const Program& p, std::initializer_list<std::string_view> parts) {
  expect_message([&] { verify(p); }, parts);
}

}  // namespace autarky
