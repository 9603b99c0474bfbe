// autarky score: log-probability of each next token.
#include <fmt/format.h>

#include <charconv>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace autarky::cli {
namespace {

std::vector<std::int32_t> parse_tokens(const std::string& text) {
  std::vector<std::int32_t> tokens;
  for (const auto& word : split(text, ',')) {
    const auto trimmed = trim(word);
    std::int32_t value = 0;
    const char* end = trimmed.data() + trimmed.size();
    const auto read = std::from_chars(trimmed.data(), end, value);
    if (read.ec != std::errc() || read.ptr != end)
      throw InputError("not a token id")
          .at("--tokens")
          .found("'" + word + "'")
          .wanted("whole numbers: 1,2,3");
    tokens.push_back(value);
  }
  return tokens;
}

}  // namespace

void run_score(Command& command) {
  std::string folder, tokens, dtype;
  command.add("--model", folder, "Folder with config.json and safetensors, or .gguf",
              Need::required);
  command.add("--tokens", tokens, "Token ids: 1,2,3", Need::required);
  add_dtype(command, dtype);
  if (!command.parse()) return;
  const auto backend = make_cpu_backend();
  const auto ids = parse_tokens(tokens);
  ServedModel model(folder, {parse_dtype_option(dtype), 0}, *backend);
  const auto logprobs = model.score(ids);
  if (command.json()) return print_json({{"logprobs", logprobs}});
  for (std::size_t i = 0; i < logprobs.size(); ++i)
    print(fmt::format("{:>8}  {:.6f}\n", ids[i + 1], logprobs[i]));
}

}  // namespace autarky::cli
