// Text from a model, token by token.
#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "serve/model.h"

namespace autarky {

struct SamplingOptions {
  bool greedy = false;
  double temperature = 1;         // > 0
  std::int64_t top_k = 0;         // the k most likely; 0: all
  double top_p = 1;               // the most likely that together have probability p
  double repetition_penalty = 1;  // logits of tokens seen are divided (positive) or multiplied by
                                  // it (Keskar et al., "CTRL", 2019)
  std::uint64_t seed = 0;
  std::int64_t max_new_tokens = 128;
};

// InputError for values that make no sense.
void validate(const SamplingOptions& options);

// The next token from logits [v]; `seen`: prompt and text so far; `index`: how many were made
// before.
std::int32_t sample_token(std::span<const float> logits, std::span<const std::int32_t> seen,
                          const SamplingOptions& options, std::int64_t index);

// New tokens after the prompt, until an end-of-sequence token (not included) or max_new_tokens.
// `on_token` sees each as it comes; false stops.
std::vector<std::int32_t> generate(ServedModel& model, std::span<const std::int32_t> prompt,
                                   const SamplingOptions& options,
                                   const std::function<bool(std::int32_t)>& on_token = {});

}  // namespace autarky
