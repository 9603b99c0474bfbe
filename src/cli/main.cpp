// autarky VERB [OPTIONS]: finds the verb, runs it, turns what is thrown into one line and a code.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/rank.h"
#include "cli/verbs.h"

namespace autarky::cli {
namespace {

constexpr Verb kVerbs[] = {
    {"doctor", "What this machine can do, what is missing and how to get it",
     "autarky doctor --json", run_doctor},
    {"tokenizer train", "Train a byte-level BPE tokenizer on .txt and .jsonl files",
     "autarky tokenizer train --input books/ chat.jsonl --vocab-size 8192 --out my-tokenizer",
     run_tokenizer_train},
    {"data build", "Turn text into token files for training",
     "autarky data build --input books/ --tokenizer my-tokenizer --out data/books "
     "--validation-fraction 0.02",
     run_data_build},
    {"data inspect", "Show what is in token files",
     "autarky data inspect data/books_train --tokenizer my-tokenizer --documents 3",
     run_data_inspect},
    {"train", "Train a model as a recipe says",
     "autarky train recipes/quickstart.yaml --train.steps=60", run_train},
    {"launch", "Run a verb as several ranks, on this machine or on several",
     "autarky launch -n 2 -- train recipes/quickstart.yaml --parallel.data_parallel_size=2",
     run_launch},
    {"plan",
     "The best layouts of a model on a cluster, simulated; predictions beside published runs",
     "autarky plan --model telechat2-115b --chip ascend-910b --chips 4096 --seq 8192 "
     "--global-batch 1024",
     run_plan},
    {"diff", "Where two runs part: the first operation, micro-batch and rank, and by how much",
     "autarky diff runs/a runs/b --tolerance 1e-4", run_diff},
    {"replay", "One rank's step again: each operation against its definition",
     "autarky replay runs/a --step 12 --rank 1", run_replay},
    {"generate", "Go on with a text",
     "autarky generate --model runs/quickstart/checkpoints/latest --prompt 'In Perl, ' "
     "--temperature 0.7 --top-k 40",
     run_generate},
    {"eval", "Loss, perplexity and bits per byte on token files",
     "autarky eval --model runs/quickstart/checkpoints/latest "
     "--data data/quickstart/text_validation --seq 256",
     run_eval},
    {"score", "Log-probability of each next token",
     "autarky score --model runs/quickstart/checkpoints/latest --tokens 1,2,3", run_score},
    {"convert", "Another format or type for a model, proven by its logits",
     "autarky convert --from runs/quickstart/checkpoints/latest --to model.gguf --dtype q8_0",
     run_convert},
    {"bench train", "Measure training steps of a preset on this machine",
     "autarky bench train --model llama-17m --batch 16 --seq 256 --dtype bf16 --steps 8",
     run_bench_train},
    {"chip list", "The chips and networks that plans know: peaks, memory, links, marks",
     "autarky chip list", run_chip_list},
    {"chip show", "A chip's or network's data sheet: each figure with its mark and source",
     "autarky chip show ascend-910b", run_chip_show},
    {"chip bench", "Measure this machine's chip and write its data sheet",
     "autarky chip bench --declared epyc-9654 --html chip.html", run_chip_bench},
};

using Arguments = std::vector<std::string>;

bool asks_for_help(const std::string& argument) { return argument == "--help" || argument == "-h"; }

// The verbs whose name starts with `group`; all of them for "".
std::string verb_lines(std::string_view group) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& verb : kVerbs)
    if (verb.name.starts_with(group)) rows.emplace_back(verb.name, verb.summary);
  return table(rows);
}

std::string help_text() {
  return fmt::format(
      "Autarky {}: language models from raw text to a served model, on the chips at hand.\n\n"
      "autarky VERB [OPTIONS] [--json] [--threads N]\n\n{}\n"
      "autarky VERB --help says more, with an example. autarky --version prints the version.\n",
      AUTARKY_VERSION, verb_lines(""));
}

std::vector<std::string> words_after(std::string_view group) {
  std::vector<std::string> words;
  for (const auto& verb : kVerbs)
    if (verb.name.starts_with(group)) {
      const auto rest = verb.name.substr(group.size());
      words.emplace_back(rest.substr(0, rest.find(' ')));
    }
  return words;
}

// Takes the verb's words off the arguments; nullptr if no verb has such a name.
const Verb* take_verb(Arguments& arguments) {
  for (const auto& verb : kVerbs) {
    const auto words = split(verb.name, ' ');
    if (arguments.size() < words.size() ||
        !std::equal(words.begin(), words.end(), arguments.begin()))
      continue;
    arguments.erase(arguments.begin(), arguments.begin() + std::ptrdiff_t(words.size()));
    return &verb;
  }
  return nullptr;
}

// `autarky data`, `autarky data --help`, `autarky data biuld`, `autarky trian`.
int answer_without_verb(const Arguments& arguments) {
  const auto first = words_after("");
  const bool is_group = std::find(first.begin(), first.end(), arguments[0]) != first.end();
  const std::string group = is_group ? arguments[0] + " " : "";
  if (is_group && arguments.size() > 1 && asks_for_help(arguments[1]))
    return print(verb_lines(group)), 0;
  if (is_group && arguments.size() == 1)
    throw InputError(fmt::format("'{}' needs another word", arguments[0]))
        .wanted(fmt::format("{}", fmt::join(words_after(group), " or ")))
        .hint(fmt::format("See: autarky {} --help", arguments[0]));
  const auto& wrong = arguments[is_group ? 1 : 0];
  const auto nearest = nearest_name(wrong, words_after(group));
  throw InputError(fmt::format("unknown verb '{}{}'", group, wrong))
      .hint(nearest.empty()
                ? "See: autarky --help"
                : fmt::format("Did you mean '{}{}'? See: autarky {}--help", group, nearest, group));
}

// Options for every verb may also stand before it.
void move_common_options_behind(Arguments& arguments) {
  std::size_t count = 0;
  while (count < arguments.size()) {
    const std::string& option = arguments[count];
    if (option == "--json" || option.starts_with("--threads=")) ++count;
    else if (option == "--threads" && count + 2 <= arguments.size()) count += 2;
    else break;
  }
  std::rotate(arguments.begin(), arguments.begin() + std::ptrdiff_t(count), arguments.end());
}

// `autarky help data build` is `autarky data build --help`.
void turn_help_around(Arguments& arguments) {
  if (arguments.empty() || arguments[0] != "help") return;
  arguments.erase(arguments.begin());
  arguments.push_back("--help");
}

int run(Arguments arguments, std::string& who) {
  move_common_options_behind(arguments);
  turn_help_around(arguments);
  if (arguments.empty()) return print(help_text()), 2;
  if (asks_for_help(arguments[0])) return print(help_text()), 0;
  if (arguments[0] == "--version") return print("autarky " AUTARKY_VERSION "\n"), 0;
  const Verb* verb = take_verb(arguments);
  if (!verb) return answer_without_verb(arguments);
  who = fmt::format("autarky {}", verb->name);
  Command command(*verb, std::move(arguments));
  verb->run(command);
  return 0;
}

int fail(const std::string& who, std::string_view what, int code) {
  let_rank_0_speak();
  const auto line = fmt::format("{}: {}error: {}\n", who, rank_prefix(), printable(what, true));
  std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

int guarded_run(Arguments arguments) {
  std::string who = "autarky";
  become_rank();
  try {
    return run(std::move(arguments), who);
  } catch (const ExitCode& end) {
    return end.code;
  } catch (const Error& error) {
    return fail(who, error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return fail(who, "out of memory", 1);
  } catch (const std::exception& error) {
    return fail(who, error.what(), 1);
  }
}

}  // namespace
}  // namespace autarky::cli

int main(int argc, char** argv) { return autarky::cli::guarded_run({argv + 1, argv + argc}); }
