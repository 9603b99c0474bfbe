// autarky eval: loss, perplexity and bits per byte on held-out text.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/text_options.h"
#include "cli/verbs.h"
#include "data/build.h"
#include "serve/evaluate.h"

namespace autarky::cli {
namespace {

// A folder for token files that goes away.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(fs::temp_directory_path() / fmt::format("autarky-eval-{}", ::getpid())) {
    fs::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Token files are taken as they are; texts are encoded first.
std::vector<fs::path> token_files(const std::vector<std::string>& data, const TextOptions& reading,
                                  const Tokenizer& tokenizer, const fs::path& folder) {
  std::vector<fs::path> prefixes, texts;
  for (const auto& d : data) (fs::exists(d + ".idx") ? prefixes : texts).emplace_back(d);
  if (texts.empty()) return prefixes;
  BuildOptions build;
  build.out_prefix = folder / "text";
  build.add_eos = tokenizer.eos_id().has_value();
  build.text = reading;
  const auto counts =
      build_shards(texts,
                   {[&](std::string_view text) { return tokenizer.encode(text, false); },
                    tokenizer.vocab_size(), tokenizer.eos_id(), ""},
                   build, [](std::int64_t, std::int64_t) {});
  warn_invalid(counts.invalid_documents, reading.invalid_utf8);
  prefixes.push_back(counts.train.prefix);
  return prefixes;
}

}  // namespace

void run_eval(Command& command) {
  std::string folder, dtype;
  std::vector<std::string> data;
  std::int32_t seq = 0;
  command.add("--model", folder, "Folder with config.json, safetensors and tokenizer, or .gguf",
              Need::required);
  TextArguments text;
  command.add("--data", data, std::string(kTextInputs) + "; or prefixes of token files",
              Need::required);
  command.add("--seq", seq,
              "Tokens of a window; the model's positions, at most 1024, if not given");
  add_dtype(command, dtype);
  add_text_options(command, text);
  if (!command.parse()) return;
  const auto backend = make_cpu_backend();
  ServedModel model(folder, {parse_dtype_option(dtype), 0}, *backend);
  const auto most = model.config().max_positions;
  if (seq < 0 || seq > most)
    throw InputError("no such window")
        .at("--seq")
        .found(std::to_string(seq))
        .wanted(fmt::format("1 to {}", most));
  const TemporaryFolder temporary;
  const auto prefixes = token_files(data, text_options(text), model.tokenizer(), temporary.path());
  Evaluation e;
  {
    WorkProgress progress("evaluating");
    e = evaluate(model, prefixes, seq > 0 ? seq : std::min<std::int64_t>(most, 1024),
                 [&](std::int64_t done, std::int64_t total) { progress.update(done, total); });
  }
  if (command.json())
    return print_json({{"loss", e.loss},
                       {"perplexity", e.perplexity},
                       {"bits_per_byte", e.bits_per_byte},
                       {"tokens", e.tokens}});
  print(table({{"loss", fmt::format("{:.4f} nats per token", e.loss)},
               {"perplexity", fmt::format("{:.2f}", e.perplexity)},
               {"bits per byte", fmt::format("{:.4f}", e.bits_per_byte)},
               {"tokens", fmt::format("{}", e.tokens)}}));
}

}  // namespace autarky::cli
