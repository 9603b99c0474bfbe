// Loss of a model on held-out tokens.
#pragma once
#include <functional>
#include <vector>

#include "data/dataset.h"
#include "serve/model.h"

namespace autarky {

struct Evaluation {
  double loss = 0;        // nats per token
  double perplexity = 0;  // exp(loss)
  double bits_per_byte = 0;
  std::int64_t tokens = 0;  // that were predicted
};

// Token files, in windows of `seq` tokens; a token is predicted from those before it in its window.
Evaluation evaluate(ServedModel& model, const std::vector<fs::path>& prefixes, std::int64_t seq,
                    const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace autarky
