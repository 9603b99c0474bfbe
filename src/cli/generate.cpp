// autarky generate: text after a prompt.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "formats/model_files.h"
#include "serve/generate.h"

namespace autarky::cli {
namespace {

struct Options {
  std::string model, prompt, dtype;
  SamplingOptions sampling;
  std::int32_t top_k = 0, max_new_tokens = 128;
  bool length_given = false;
};

bool parse(Command& command, Options& o) {
  command.add("--model", o.model, "Folder with config.json, safetensors and tokenizer, or .gguf",
              Need::required);
  command.add("--prompt", o.prompt, "The text to go on from", Need::required);
  command.add("--max-new-tokens", o.max_new_tokens,
              "At most so many; 128, or what the model has room for");
  command.add_flag("--greedy", o.sampling.greedy, "Always the most likely token");
  command.add("--temperature", o.sampling.temperature, "Below 1: safer, above 1: bolder; 1");
  command.add("--top-k", o.top_k, "Choose among the K most likely; 0: all");
  command.add("--top-p", o.sampling.top_p,
              "Choose among the likeliest that together have probability P; 1");
  command.add("--repetition-penalty", o.sampling.repetition_penalty,
              "Above 1: tokens already used become less likely; 1");
  command.add("--seed", o.sampling.seed, "The same seed gives the same text; 0");
  add_dtype(command, o.dtype);
  if (!command.parse()) return false;
  o.sampling.top_k = o.top_k;
  o.sampling.max_new_tokens = o.max_new_tokens;
  o.length_given = command.given("--max-new-tokens");
  validate(o.sampling);
  return true;
}

// A cache for the prompt and the new tokens: as many as asked for, or by default as many as fit.
ServeOptions serve_options(const Options& o, std::int64_t prompt) {
  return {parse_dtype_option(o.dtype), prompt + o.max_new_tokens, o.length_given ? 0 : prompt + 1};
}

void fit_length(const ServedModel& model, std::int64_t prompt, SamplingOptions& sampling) {
  const std::int64_t room = model.capacity() - prompt;
  if (room >= sampling.max_new_tokens) return;
  log_info(fmt::format("at most {} new tokens: the model has {} positions, the prompt takes {}",
                       room, model.config().max_positions, prompt));
  sampling.max_new_tokens = room;
}

// How many bytes at the end belong to a UTF-8 character that is not whole yet.
std::size_t unfinished_bytes(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return needed > back ? back : 0;
  }
  return 0;
}

}  // namespace

void run_generate(Command& command) {
  Options o;
  if (!parse(command, o)) return;
  const auto backend = make_cpu_backend();
  const Tokenizer tokenizer = load_tokenizer(o.model);
  const auto prompt = tokenizer.encode(o.prompt, true, true);
  const auto length = std::int64_t(prompt.size());
  ServedModel model(o.model, serve_options(o, length), *backend);
  fit_length(model, length, o.sampling);
  std::vector<std::int32_t> made;
  std::string text;
  std::size_t shown = 0;
  const auto show = [&](std::size_t keep_back) {
    if (command.json()) return;
    print(printable(std::string_view(text).substr(shown, text.size() - shown - keep_back)));
    shown = text.size() - keep_back;
  };
  if (!command.json()) print(printable(o.prompt));
  generate(model, prompt, o.sampling, [&](std::int32_t token) {
    made.push_back(token);
    text = tokenizer.decode(made, true);
    show(unfinished_bytes(text));
    return true;
  });
  show(0);
  if (command.json())
    return print_json({{"text", text}, {"tokens", made}, {"prompt_tokens", prompt}});
  print("\n");
}

}  // namespace autarky::cli
