#include "serve/evaluate.h"

#include <cmath>
#include <numbers>

namespace autarky {

Evaluation evaluate(ServedModel& model, const std::vector<fs::path>& prefixes, std::int64_t seq,
                    const std::function<void(std::int64_t, std::int64_t)>& progress) {
  std::vector<WeightedPrefix> sources;
  for (const auto& p : prefixes) sources.push_back({p, std::nullopt});
  const ValidationSet data(sources, {seq, model.config().vocab, 0});
  const Tokenizer& tokenizer = model.tokenizer();
  Evaluation result;
  double sum = 0, bytes = 0;
  Batch row;
  for (std::int64_t i = 0; i < data.sample_count(); ++i) {
    data.read(i, 1, row);
    sum += model.loss_sum(row.tokens, row.targets, row.positions, row.segments);
    result.tokens += row.target_count;
    for (const auto t : row.targets)
      if (t >= 0 && !tokenizer.is_special(t)) bytes += double(tokenizer.bytes(t).size());
    progress(i + 1, data.sample_count());
  }
  result.loss = sum / double(std::max<std::int64_t>(result.tokens, 1));
  result.perplexity = std::exp(result.loss);
  result.bits_per_byte = sum / std::numbers::ln2 / std::max(bytes, 1.0);
  return result;
}

}  // namespace autarky
