// autarky launch: a verb as several ranks.
#include <fmt/core.h>

#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/verbs.h"
#include "launch/launch.h"

namespace autarky::cli {
namespace {

void check(const LaunchOptions& o) {
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
  if (o.arguments.empty())
    throw InputError("nothing to run")
        .wanted("a verb behind --")
        .hint("As in: autarky launch -n 2 -- train recipe.yaml");
  if (o.arguments[0] == "launch")
    throw InputError("launch cannot launch itself").hint("See: autarky launch --help");
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
  if (!command.parse()) return;
  check(o);
  o.threads = command.threads();
  if (command.json()) o.arguments.push_back("--json");
  o.program = std::filesystem::read_symlink("/proc/self/exe").string();
  if (const int code = launch(o, log_warning); code != 0) throw ExitCode{code};
}

}  // namespace autarky::cli
