// autarky tokenizer train: text -> a folder with tokenizer.json.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/text_options.h"
#include "cli/verbs.h"
#include "data/documents.h"
#include "text/bpe_trainer.h"

namespace autarky::cli {
namespace {

struct Options {
  std::vector<std::string> inputs, special_tokens;
  std::string out;
  TextArguments text;
  BpeTrainerOptions trainer;
};

bool parse(Command& command, Options& options) {
  command.add("--input", options.inputs, kTextInputs, Need::required);
  command.add("--vocab-size", options.trainer.vocab_size,
              "Tokens in all: 256 bytes, merges, special tokens", Need::required);
  command.add("--out", options.out, "Folder for tokenizer.json", Need::required);
  command.add("--pattern", options.trainer.pattern,
              "How text is cut into words: gpt2 (default), llama3 or qwen2");
  command.add("--special-token", options.special_tokens,
              "More special tokens beside <|endoftext|>, such as '<|user|>'");
  add_text_options(command, options.text);
  return command.parse();
}

void add_special_tokens(Options& options) {
  auto& all = options.trainer.special_tokens;
  for (const auto& token : options.special_tokens)
    if (std::find(all.begin(), all.end(), token) == all.end()) all.push_back(token);
}

// Before the work, not after it.
void check_folder(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored) && !fs::is_directory(path, ignored))
    throw InputError("there is a file where the folder should be").at(path.string());
}

BpeTraining train(const Options& options, std::int64_t& documents) {
  const std::vector<fs::path> inputs(options.inputs.begin(), options.inputs.end());
  const auto text = text_options(options.text);
  DocumentReader reader(inputs, text);
  WorkProgress reading("reading text"), merging("making tokens");
  auto trainer = options.trainer;
  trainer.progress = [&](std::int64_t done, std::int64_t total) { merging.update(done, total); };
  std::optional<std::string> document;
  const DocumentSource next = [&](std::string_view& words) {
    document = reader.next();
    reading.update(reader.bytes_read(), reader.total_bytes());
    if (!document) return false;
    ++documents;
    words = *document;
    return true;
  };
  auto training = train_bpe(next, trainer);
  warn_invalid(reader.invalid_documents(), text.invalid_utf8);
  return training;
}

void report(const Command& command, const Options& options, const BpeTraining& training,
            std::int64_t documents, double seconds) {
  const auto size = training.tokenizer.vocab_size();
  if (size < options.trainer.vocab_size)
    log_warning(
        fmt::format("{} tokens instead of {}: the text has no more pairs that repeat. "
                    "Give more text, or set the model's vocabulary to {}.",
                    size, options.trainer.vocab_size, size));
  if (command.json())
    return print_json({{"out", options.out},
                       {"vocab_size", size},
                       {"pattern", options.trainer.pattern},
                       {"documents", documents},
                       {"bytes", training.bytes},
                       {"words", training.words},
                       {"distinct_words", training.distinct_words},
                       {"seconds", seconds}});
  print(table(
      {{"tokenizer", options.out},
       {"tokens", std::to_string(size)},
       {"documents", std::to_string(documents)},
       {"text", human_bytes(double(training.bytes))},
       {"words", fmt::format("{}, {} of them different", training.words, training.distinct_words)},
       {"time", human_seconds(seconds)}}));
}

}  // namespace

void run_tokenizer_train(Command& command) {
  Options options;
  if (!parse(command, options)) return;
  const Stopwatch watch;
  check_folder(options.out);
  add_special_tokens(options);
  std::int64_t documents = 0;
  const auto training = train(options, documents);
  training.tokenizer.save(options.out);
  report(command, options, training, documents, watch.seconds());
}

}  // namespace autarky::cli
