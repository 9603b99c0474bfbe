// A model from one format to another, proven by its logits.
#pragma once
#include <optional>
#include <string>

#include "backend/backend.h"
#include "base/file.h"
#include "formats/gguf_blocks.h"

namespace autarky {

struct ConvertOptions {
  fs::path from, to;             // each a folder with config.json, or a .gguf file
  std::optional<GgufType> type;  // f32, f16, bf16 or, to GGUF, q8_0; default: the source's
  std::int64_t most_shard_bytes = 5'000'000'000;  // of a safetensors file
  bool force = false;                             // replaces what is there
};

struct Conversion {
  GgufType type = GgufType::f32;
  std::int64_t parameters = 0, bytes = 0;
  bool tokenizer = false;
  std::int64_t tokens = 0;  // whose logits were compared
  // Over all logits, computed in f32 from both; the tolerance is a share of the largest.
  double largest_logit = 0, largest_difference = 0, tolerance = 0;
};

// Share of the largest logit by which logits may differ after weights were rounded to `type`; 0
// where the type holds the source's numbers exactly.
double logit_tolerance(GgufType source, GgufType type);

// Writes beside `to` under a temporary name, loads that back, compares its logits with the
// source's on a few tokens and only then gives it its name. InputError if `to` is there and not
// `force`, or is no model; Error if the logits differ by more than the tolerance: then nothing is
// left. Memory: one tensor while writing, one model in f32 while comparing.
Conversion convert_model(const ConvertOptions& options, const Backend& backend);

}  // namespace autarky
