// autarky data build: text -> PREFIX.bin and PREFIX.idx.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/text_options.h"
#include "cli/verbs.h"
#include "data/build.h"
#include "text/tokenizer.h"

namespace autarky::cli {
namespace {

struct Options {
  std::vector<std::string> inputs;
  std::string tokenizer, out;
  bool no_eos = false;
  TextArguments text;
  BuildOptions build;
};

bool parse(Command& command, Options& options) {
  command.add("--input", options.inputs, kTextInputs, Need::required);
  command.add("--tokenizer", options.tokenizer, "Folder with tokenizer.json", Need::required);
  command.add("--out", options.out, "Start of the names of the files to write", Need::required);
  command.add("--validation-fraction", options.build.validation_fraction,
              "Share of the documents to hold out: writes PREFIX_train and PREFIX_validation");
  command.add("--seed", options.build.seed, "Of the choice of held-out documents; 0");
  command.add_flag("--no-eos", options.no_eos, "Put no end-of-text token after each document");
  add_text_options(command, options.text);
  return command.parse();
}

// Special tokens that are written in a document stay plain text: only we end a document.
TextEncoder text_encoder(const Tokenizer& tokenizer, const fs::path& folder) {
  return {[&tokenizer](std::string_view text) { return tokenizer.encode(text, false); },
          tokenizer.vocab_size(), tokenizer.eos_id(),
          hex64(xxh3(MappedFile(Tokenizer::file_in(folder)).text()))};
}

Json to_json(const SplitCounts& split) {
  return {{"prefix", split.prefix.string()},
          {"documents", split.documents},
          {"tokens", split.tokens},
          {"bytes", split.bytes}};
}

std::pair<std::string, std::string> to_row(const SplitCounts& split) {
  return {split.prefix.string(),
          fmt::format("{} documents, {} of text, {} tokens ({:.2f} bytes each)", split.documents,
                      human_bytes(double(split.bytes)), split.tokens,
                      double(split.bytes) / double(split.tokens))};
}

}  // namespace

void run_data_build(Command& command) {
  Options options;
  if (!parse(command, options)) return;
  const Stopwatch watch;
  options.build.out_prefix = options.out;
  options.build.add_eos = !options.no_eos;
  options.build.text = text_options(options.text);
  const auto tokenizer = Tokenizer::load(options.tokenizer);
  const std::vector<fs::path> inputs(options.inputs.begin(), options.inputs.end());
  BuildCounts counts;
  {
    WorkProgress progress("tokens");
    counts =
        build_shards(inputs, text_encoder(tokenizer, options.tokenizer), options.build,
                     [&](std::int64_t done, std::int64_t total) { progress.update(done, total); });
  }
  warn_invalid(counts.invalid_documents, options.build.text.invalid_utf8);
  if (command.json()) {
    Json result = {{"train", to_json(counts.train)}};
    if (counts.validation) result["validation"] = to_json(*counts.validation);
    result["vocab_size"] = tokenizer.vocab_size();
    result["seconds"] = watch.seconds();
    return print_json(result);
  }
  std::vector<std::pair<std::string, std::string>> rows = {to_row(counts.train)};
  if (counts.validation) rows.push_back(to_row(*counts.validation));
  rows.emplace_back("time", human_seconds(watch.seconds()));
  print(table(rows));
}

}  // namespace autarky::cli
