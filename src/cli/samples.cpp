#include "cli/samples.h"

#include <algorithm>

#include "formats/megatron_index.h"
#include "serve/generate.h"

namespace autarky::cli {
namespace {

constexpr std::int64_t kPromptTokens = 16, kNewTokens = 96;

// The first tokens of documents spread evenly over the validation data.
std::vector<std::vector<std::int32_t>> beginnings(const Recipe& recipe, std::int64_t count) {
  std::vector<std::vector<std::int32_t>> prompts;
  const auto& sources = recipe.data.validation.empty() ? recipe.data.train : recipe.data.validation;
  const MegatronDataset data(sources.front().prefix);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto document = data.document_count() * (2 * i + 1) / (2 * count);
    const auto size = std::min(kPromptTokens, data.document_size(document) - 1);
    if (size < 1) continue;
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(size));
    data.read_document(document, 0, tokens);
    prompts.push_back(std::move(tokens));
  }
  return prompts;
}

}  // namespace

std::vector<ReportSample> write_samples(const Recipe& recipe, const Backend& backend) {
  if (recipe.logging.samples == 0) return {};
  ServeOptions options;
  options.dtype = recipe.train.dtype;
  options.capacity = std::min<std::int64_t>(recipe.train.seq_length, 256);
  ServedModel model(fs::path(recipe.logging.run_dir) / "checkpoints" / "latest", options, backend);
  const Tokenizer& tokenizer = model.tokenizer();
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& text : recipe.logging.prompts) prompts.push_back(tokenizer.encode(text));
  if (prompts.empty()) prompts = beginnings(recipe, recipe.logging.samples);
  SamplingOptions sampling;
  sampling.temperature = 0.7;
  sampling.top_k = 40;
  sampling.repetition_penalty = 1.1;
  std::vector<ReportSample> samples;
  for (auto& prompt : prompts) {
    prompt.resize(std::min<std::size_t>(prompt.size(), std::size_t(options.capacity / 2)));
    if (prompt.empty()) continue;
    sampling.max_new_tokens = std::min(kNewTokens, options.capacity - std::int64_t(prompt.size()));
    model.forget();
    samples.push_back(
        {tokenizer.decode(prompt), tokenizer.decode(generate(model, prompt, sampling), true)});
  }
  return samples;
}

}  // namespace autarky::cli
