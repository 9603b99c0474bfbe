// Small compiled programs for the tests of passes.
#pragma once
#include <vector>

#include "models/decoder.h"
#include "models/presets.h"
#include "passes/compile.h"

namespace autarky {

inline ModelConfig small_config(const char* preset = "llama-17m") {
  ModelConfig config = preset_config(preset);
  config.layers = 4;
  config.vocab = 512;
  return config;
}

inline StepOptions small_options(int tp, int dp, int pp) {
  StepOptions o;
  o.mesh.size(Axis::tp) = tp;
  o.mesh.size(Axis::dp) = dp;
  o.mesh.size(Axis::pp) = pp;
  o.microbatches = 4;
  o.lanes = 2;
  o.scratch = [](const Node&, Types in, Types) { return in.empty() ? 0 : in[0].bytes() / 3; };
  return o;
}

inline std::vector<Program> small_stages(const StepOptions& o, const char* preset = "llama-17m") {
  const int rows = o.mesh.size(Axis::dp);
  return compile_stages(build_decoder(small_config(preset), {DType::bf16, rows, 16}), o);
}

inline Program small_program(const StepOptions& o, int stage = 0) {
  return small_stages(o)[std::size_t(stage)];
}

}  // namespace autarky
