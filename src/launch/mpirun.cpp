#include "launch/mpirun.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/process.h"
#include "base/words.h"
#include "launch/child.h"

namespace autarky {
namespace {

// The number behind "host:", `otherwise` where there is none.
int slots_of(const std::string& host, int otherwise) {
  const auto colon = host.rfind(':');
  if (host.empty() || colon == 0)
    throw InputError("a host without a name").at("--hosts").wanted("names as in a,b:4");
  if (colon == host.npos) return otherwise;
  int slots = 0;
  const char* end = host.data() + host.size();
  const auto result = std::from_chars(host.data() + colon + 1, end, slots);
  if (result.ec != std::errc() || result.ptr != end || slots < 1 || slots > kMostRanks)
    throw InputError("the number of ranks of a host cannot be read")
        .at("--hosts")
        .found(fmt::format("'{}'", host))
        .wanted("as in a,b:4");
  return slots;
}

void add_resume(LaunchOptions& options) {
  auto& words = options.arguments;
  if (!words.empty() && words[0] == "train" &&
      std::find(words.begin(), words.end(), "--resume") == words.end())
    words.push_back("--resume");
}

Ended run_once(const LaunchOptions& options) {
  const int threads = threads_of_a_rank(options, usable_cores());
  const Environment environment{{"OMP_NUM_THREADS", std::to_string(threads)}};
  if (options.ranks == 1 && options.hosts.empty()) {
    std::vector<std::string> command{options.program};
    command.insert(command.end(), options.arguments.begin(), options.arguments.end());
    return run_child(command, environment, SignalsAs::they_are);
  }
  const auto mpirun = find_program("mpirun");
  if (mpirun.empty())
    throw InputError("there is no mpirun, which starts the ranks")
        .hint("Install it: sudo apt-get install openmpi-bin");
  return run_child(mpirun_command(options, mpirun, threads, ::geteuid() == 0), environment,
                   SignalsAs::user_signal);
}

}  // namespace

int ranks_on_a_machine(const LaunchOptions& options) {
  if (options.hosts.empty()) return options.ranks;
  const auto hosts = split(options.hosts, ',');
  const int count = int(hosts.size());
  const int each = (options.ranks + count - 1) / count;
  int most = 1;
  for (const auto& host : hosts) most = std::max(most, slots_of(host, each));
  return std::min(most, options.ranks);
}

int threads_of_a_rank(const LaunchOptions& options, int cores) {
  return options.threads > 0 ? options.threads : std::max(1, cores / ranks_on_a_machine(options));
}

std::vector<std::string> mpirun_command(const LaunchOptions& options, const std::string& mpirun,
                                        int threads, bool root) {
  // Ranks die with the thread that forked them: that is mpirun's first, not one of a pool.
  std::vector<std::string> words{
      mpirun, "--quiet", "--bind-to", "none", "--oversubscribe", "--mca", "odls_base_num_threads",
      "0"};
  if (root) words.push_back("--allow-run-as-root");
  words.insert(words.end(), {"-n", std::to_string(options.ranks)});
  if (!options.hosts.empty()) {
    const auto hosts = split(options.hosts, ',');
    const int each = (options.ranks + int(hosts.size()) - 1) / int(hosts.size());
    std::string list;
    for (const auto& host : hosts) {
      if (!list.empty()) list += ',';
      list += host.rfind(':') == host.npos ? fmt::format("{}:{}", host, each) : host;
    }
    words.insert(words.end(), {"--host", list});
  }
  words.insert(words.end(), {"-x", fmt::format("OMP_NUM_THREADS={}", threads), "-x",
                             "AUTARKY_LAUNCHED=1", options.program});
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  return words;
}

int launch(const LaunchOptions& options, const Note& note) {
  const int ranks = ranks_on_a_machine(options), cores = usable_cores();
  if (const int threads = threads_of_a_rank(options, cores); ranks * threads > cores)
    note(fmt::format(
        "{} ranks of {} threads on a machine with {} cores: they will wait for each other", ranks,
        threads, cores));
  LaunchOptions now = options;
  for (int restart = 0;; ++restart) {
    const Ended ended = run_once(now);
    if (ended.code == 0 || ended.code == 2 || ended.asked || restart == options.max_restarts)
      return ended.code;
    note(fmt::format("the run ended with code {}; starting it again ({} of {})", ended.code,
                     restart + 1, options.max_restarts));
    add_resume(now);
  }
}

}  // namespace autarky
