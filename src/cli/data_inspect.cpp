// autarky data inspect: what is in PREFIX.bin and PREFIX.idx.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "data/inspect.h"
#include "text/tokenizer.h"

namespace autarky::cli {
namespace {

struct Options {
  std::string prefix, tokenizer;
  std::uint32_t documents = 0, tokens = 64;
};

bool parse(Command& command, Options& options) {
  command.add("PREFIX", options.prefix, "Start of the names of the two files", Need::required);
  command.add("--documents", options.documents, "Show the first documents, this many");
  command.add("--tokens", options.tokens, "Tokens shown of each document; 64 if not given");
  command.add("--tokenizer", options.tokenizer, "Folder: shows documents as text, not numbers");
  return command.parse();
}

// Either file stands for the pair.
fs::path prefix_of(const fs::path& path) {
  const auto ending = path.extension();
  return ending == ".bin" || ending == ".idx" ? fs::path(path).replace_extension() : path;
}

void check_fits(const ShardReport& report, const Tokenizer& tokenizer, const Options& options) {
  if (report.max_token < tokenizer.vocab_size()) return;
  throw InputError("these token files were made with another tokenizer")
      .at(options.prefix)
      .found(fmt::format("token {}", report.max_token))
      .wanted(fmt::format("less than {}, the vocabulary of {}", tokenizer.vocab_size(),
                          options.tokenizer));
}

std::vector<std::string> texts(const ShardReport& report, const std::optional<Tokenizer>& by) {
  std::vector<std::string> shown;
  for (const auto& tokens : report.first_documents)
    shown.push_back(by ? by->decode(tokens) : fmt::format("{}", fmt::join(tokens, " ")));
  return shown;
}

Json to_json(const ShardReport& report, const std::optional<Tokenizer>& tokenizer) {
  Json result = {{"documents", report.documents},
                 {"sequences", report.sequences},
                 {"tokens", report.tokens},
                 {"bytes", report.bytes},
                 {"dtype", dtype_name(report.dtype)},
                 {"shortest_document", report.shortest_document},
                 {"mean_document", report.mean_document},
                 {"longest_document", report.longest_document},
                 {"min_token", report.min_token},
                 {"max_token", report.max_token},
                 {"first_documents", report.first_documents}};
  if (tokenizer) result["first_texts"] = texts(report, tokenizer);
  return result;
}

std::string to_text(const ShardReport& report, const std::optional<Tokenizer>& tokenizer) {
  auto text = table(
      {{"documents", std::to_string(report.documents)},
       {"tokens", fmt::format("{} ({} each)", report.tokens, dtype_name(report.dtype))},
       {"size", human_bytes(double(report.bytes))},
       {"document", fmt::format("{} to {} tokens, {:.1f} on average", report.shortest_document,
                                report.longest_document, report.mean_document)},
       {"token ids", fmt::format("{} to {}", report.min_token, report.max_token)}});
  int number = 0;
  for (const auto& document : texts(report, tokenizer))
    text += fmt::format("--- document {}\n{}\n", number++, printable(document));
  return text;
}

}  // namespace

void run_data_inspect(Command& command) {
  Options options;
  if (!parse(command, options)) return;
  std::optional<Tokenizer> tokenizer;
  if (!options.tokenizer.empty()) tokenizer = Tokenizer::load(options.tokenizer);
  const auto report = inspect_shards(prefix_of(options.prefix), options.documents, options.tokens);
  if (tokenizer) check_fits(report, *tokenizer, options);
  if (command.json()) print_json(to_json(report, tokenizer));
  else print(to_text(report, tokenizer));
}

}  // namespace autarky::cli
