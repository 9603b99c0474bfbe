// A model as single-device code: the forward graphs of its three kinds of block.
#pragma once
#include <set>
#include <string>

#include "ir/graph.h"

namespace autarky {

// Ports by name. Activations run through "x" and "y"; the head's output is "loss" [b s], one number
// per token. Parameters are ports of kind param, constants ports of kind state.
struct ModelGraphs {
  std::string name;
  Graph embed;  // tokens -> y
  Graph layer;  // x -> y; called `layers` times with its own parameters
  Graph head;   // x -> loss
  int layers = 0;
  std::set<std::string> undecayed;  // parameters without weight decay: norms and biases
  // With tied embeddings the head's parameter of the first name is the embedding's of the second.
  std::string tied_head, tied_embed;
  bool tied() const { return !tied_head.empty(); }
};

}  // namespace autarky
