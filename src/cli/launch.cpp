// autarky launch: a verb as several ranks.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "launch/launch.h"
#include "launch/slurm.h"
#include "train/recipe.h"

namespace autarky::cli {
namespace {

void check(const LaunchOptions& o, int min_ranks) {
  if (o.ranks < 1 || o.ranks > kMostRanks)
    throw InputError("a number of ranks that cannot be")
        .at("-n")
        .found(std::to_string(o.ranks))
        .wanted(fmt::format("1 to {}", kMostRanks));
  if (o.max_restarts < 0)
    throw InputError("a number of restarts that cannot be")
        .at("--max-restarts")
        .found(std::to_string(o.max_restarts))
        .wanted("0 or more");
  if (min_ranks < 0 || min_ranks > o.ranks)
    throw InputError("a least number of ranks that cannot be")
        .at("--min-ranks")
        .found(std::to_string(min_ranks))
        .wanted(fmt::format("1 to {}", o.ranks));
  if (o.arguments.empty())
    throw InputError("nothing to run")
        .wanted("a verb behind --")
        .hint("As in: autarky launch -n 2 -- train recipe.yaml");
  if (o.arguments[0] == "launch")
    throw InputError("launch cannot launch itself").hint("See: autarky launch --help");
}

// The recipe's layout with ever smaller data_parallel_size: divisors of its own, so that the
// lanes stay, and with them the bits of ZeRO 0 and 1.
std::vector<Smaller> smaller_layouts(const LaunchOptions& o, int min_ranks) {
  if (o.arguments[0] != "train")
    throw InputError("only train can go on with fewer ranks").at("--min-ranks");
  std::vector<std::string> overrides;
  std::copy_if(o.arguments.begin(), o.arguments.end(), std::back_inserter(overrides),
               is_recipe_override);
  auto recipe = o.arguments.begin() + 1;
  while (recipe != o.arguments.end() && recipe->starts_with("-"))
    recipe += *recipe == "--threads" && recipe + 1 != o.arguments.end() ? 2 : 1;
  if (recipe == o.arguments.end()) return {};  // train says what is wrong
  const ParallelSection p = load_recipe(*recipe, overrides).parallel;
  const std::string size = "--parallel.data_parallel_size=", lanes = "--parallel.lanes=";
  auto words = o.arguments;
  std::erase_if(words, [&](const auto& w) { return w.starts_with(size) || w.starts_with(lanes); });
  words.push_back(lanes + std::to_string(p.lanes));
  std::vector<Smaller> list;
  for (auto dp = p.data_parallel_size - 1; dp > 0; --dp) {
    const auto ranks = o.ranks * dp / p.data_parallel_size;
    if (p.data_parallel_size % dp != 0 || ranks < min_ranks) continue;
    list.push_back({int(ranks), words});
    list.back().arguments.push_back(size + std::to_string(dp));
  }
  return list;
}

// Writes the script beside the user and submits it: Slurm runs this same launch where it has room.
void launch_by_slurm(const Command& command, const LaunchOptions& o, int min_ranks,
                     const std::string& options) {
  if (!o.hosts.empty())
    throw InputError("Slurm chooses the machines")
        .at("--hosts")
        .hint("Leave it out; name machines with --slurm-options \"--nodelist=...\"");
  SlurmJob job{"autarky-" + o.arguments[0], o.ranks, std::max(1, o.threads), options, {}};
  job.command = {o.program,
                 "launch",
                 "-n",
                 std::to_string(o.ranks),
                 "--threads",
                 std::to_string(job.threads),
                 "--max-restarts",
                 std::to_string(o.max_restarts)};
  if (min_ranks > 0)
    job.command.insert(job.command.end(), {"--min-ranks", std::to_string(min_ranks)});
  job.command.push_back("--");
  job.command.insert(job.command.end(), o.arguments.begin(), o.arguments.end());
  const std::string sbatch = find_sbatch(), script = job.name + ".sbatch";
  write_file_atomic(script, slurm_script(job));
  const std::string id = submit(sbatch, script);
  if (command.json()) return print_json({{"job", id}, {"script", script}});
  print(fmt::format("Submitted as job {}; its output: slurm-{}.out, its script: {}\n", id, id,
                    script));
}

}  // namespace

void run_launch(Command& command) {
  LaunchOptions o;
  o.arguments = command.take_after_dashes();
  command.add("-n,--ranks", o.ranks, "Ranks, each a process", Need::required);
  command.add("--hosts", o.hosts,
              "Machines, as in a,b:4 (a number: the ranks there); this one if not given");
  command.add("--max-restarts", o.max_restarts,
              "How often a run that was killed or failed is started again (train: with --resume)");
  int min_ranks = 0;
  command.add("--min-ranks", min_ranks,
              "If train fails again before it finished a step: go on with fewer ranks, at least so "
              "many (data_parallel_size becomes a divisor of the recipe's; the lanes stay)");
  bool slurm = false;
  std::string slurm_options;
  command.add_flag("--slurm", slurm, "Submit it as a job of Slurm: writes autarky-VERB.sbatch");
  command.add("--slurm-options", slurm_options,
              "More options for sbatch, as in \"--partition=all --time=2:00:00\"");
  if (!command.parse()) return;
  check(o, min_ranks);
  if (min_ranks > 0) o.smaller = smaller_layouts(o, min_ranks);
  o.threads = command.threads();
  o.program = std::filesystem::read_symlink("/proc/self/exe").string();
  if (slurm) return launch_by_slurm(command, o, min_ranks, slurm_options);
  if (command.json()) o.arguments.push_back("--json");
  if (const int code = launch(o, log_warning); code != 0) throw ExitCode{code};
}

}  // namespace autarky::cli
