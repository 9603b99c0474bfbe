// autarky data inspect: what is in PREFIX.bin and PREFIX.idx, of one source or several.
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
  std::vector<std::string> prefixes;
  std::string tokenizer;
  std::uint32_t documents = 0, tokens = 64;
};

bool parse(Command& command, Options& options) {
  command.add("PREFIX", options.prefixes, "Start of the names of the two files; several: sources",
              Need::required);
  command.add("--documents", options.documents, "Show the first documents of each, this many");
  command.add("--tokens", options.tokens, "Tokens shown of each document; 64 if not given");
  command.add("--tokenizer", options.tokenizer, "Folder: shows documents as text, not numbers");
  return command.parse();
}

// Either file stands for the pair.
fs::path prefix_of(const fs::path& path) {
  const auto ending = path.extension();
  return ending == ".bin" || ending == ".idx" ? fs::path(path).replace_extension() : path;
}

void check_fits(const ShardReport& report, const std::string& prefix, const Tokenizer& tokenizer,
                const Options& options) {
  if (report.max_token < tokenizer.vocab_size()) return;
  throw InputError("these token files were made with another tokenizer")
      .at(prefix)
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

struct Totals {
  std::int64_t documents = 0, tokens = 0, bytes = 0;

  double share(const ShardReport& report) const {
    return tokens > 0 ? double(report.tokens) / double(tokens) : 0;
  }
};

Totals sum(const std::vector<ShardReport>& reports) {
  Totals totals;
  for (const auto& report : reports) {
    totals.documents += report.documents;
    totals.tokens += report.tokens;
    totals.bytes += report.bytes;
  }
  return totals;
}

// Of several sources: the sums, and what each has of the tokens, which is its share in a blend
// without weights.
void print_sources(const Command& command, const Options& options,
                   const std::vector<ShardReport>& reports,
                   const std::optional<Tokenizer>& tokenizer) {
  const auto totals = sum(reports);
  Json sources = Json::array();
  std::string text = table({{"documents", std::to_string(totals.documents)},
                            {"tokens", std::to_string(totals.tokens)},
                            {"size", human_bytes(double(totals.bytes))}});
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const double share = totals.share(reports[i]);
    Json source = {{"prefix", options.prefixes[i]}, {"share", share}};
    source.update(to_json(reports[i], tokenizer));
    sources.push_back(std::move(source));
    text += fmt::format("=== {}: {:.2f}% of the tokens\n{}", printable(options.prefixes[i], true),
                        100 * share, to_text(reports[i], tokenizer));
  }
  if (command.json())
    print_json({{"documents", totals.documents},
                {"tokens", totals.tokens},
                {"bytes", totals.bytes},
                {"sources", std::move(sources)}});
  else print(text);
}

}  // namespace

void run_data_inspect(Command& command) {
  Options options;
  if (!parse(command, options)) return;
  std::optional<Tokenizer> tokenizer;
  if (!options.tokenizer.empty()) tokenizer = Tokenizer::load(options.tokenizer);
  std::vector<ShardReport> reports;
  for (const auto& prefix : options.prefixes) {
    reports.push_back(inspect_shards(prefix_of(prefix), options.documents, options.tokens));
    if (tokenizer) check_fits(reports.back(), prefix, *tokenizer, options);
  }
  if (reports.size() > 1) print_sources(command, options, reports, tokenizer);
  else if (command.json()) print_json(to_json(reports[0], tokenizer));
  else print(to_text(reports[0], tokenizer));
}

}  // namespace autarky::cli
