#include "launch/launch.h"

#include <fmt/core.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/process.h"
#include "launch/board.h"
#include "launch/child.h"

namespace autarky {
namespace {

void add_resume(LaunchOptions& options) {
  auto& words = options.arguments;
  if (!words.empty() && words[0] == "train" &&
      std::find(words.begin(), words.end(), "--resume") == words.end())
    words.push_back("--resume");
}

// mpirun waits for ever for machines that it does not reach any more, when all ranks have long seen
// that and ended.
constexpr int kPatience = 5;  // seconds

bool uses_mpirun(const LaunchOptions& options) {
  return options.ranks > 1 || !options.hosts.empty();
}

Ended run_once(const LaunchOptions& options, Board& board) {
  board.clear(options.ranks);
  int gone = 0;
  const Watch watch{[&] { board.ask_for_a_save(); },
                    [&] { return (gone = board.ranks_are_gone() ? gone + 1 : 0) > kPatience; }};
  Environment environment{
      {"OMP_NUM_THREADS", std::to_string(threads_of_a_rank(options, usable_cores()))},
      {kBoardVariable, board.folder().string()}};
  if (!uses_mpirun(options)) {
    std::vector<std::string> command{options.program};
    command.insert(command.end(), options.arguments.begin(), options.arguments.end());
    return run_child(command, environment, SignalsAs::they_are, watch);
  }
  const auto mpirun = find_program("mpirun");
  if (mpirun.empty())
    throw InputError("there is no mpirun, which starts the ranks")
        .hint("Install it: sudo apt-get install openmpi-bin");
  environment.emplace_back("AUTARKY_LAUNCHED", "1");
  return run_child(mpirun_command(options, mpirun, environment, ::geteuid() == 0), {},
                   SignalsAs::user_signal, watch);
}

// "the run ended with code 137 (Killed); the last finished steps: ..."
std::string what_failed(const Ended& ended, bool of_mpirun, const std::vector<Sign>& signs) {
  const int code = ended.code;
  std::string text = fmt::format("the run ended with code {}", code);
  if (of_mpirun && ended.by_signal && !ended.hung) text += " of mpirun itself";
  if (ended.hung) text += ": mpirun waited for another machine and was killed";
  else if (code > 128 && ::sigabbrev_np(code - 128))
    text += fmt::format(" (SIG{})", ::sigabbrev_np(code - 128));
  const auto ranks = describe(signs);
  return ranks.empty() ? text : fmt::format("{}; last finished steps: {}", text, ranks);
}

bool finished_a_step(const std::vector<Sign>& signs) {
  return std::any_of(signs.begin(), signs.end(), [](const Sign& s) { return s.step >= 0; });
}

void take_smaller(LaunchOptions& options) {
  options.ranks = options.smaller[0].ranks;
  options.arguments = options.smaller[0].arguments;
  options.smaller.erase(options.smaller.begin());
}

void warn_of_threads(const LaunchOptions& options, const Note& note) {
  const int ranks = ranks_on_a_machine(options), cores = usable_cores();
  if (const int threads = threads_of_a_rank(options, cores); ranks * threads > cores)
    note(fmt::format(
        "{} ranks of {} threads on a machine with {} cores: they will wait for each other", ranks,
        threads, cores));
}

}  // namespace

int launch(const LaunchOptions& options, const Note& note) {
  ::signal(SIGUSR1, [](int) {});  // between two starts there is nobody to save
  warn_of_threads(options, note);
  LaunchOptions now = options;
  now.hosts = host_list(options);
  Board board;
  for (int restart = 0;; ++restart) {
    const Ended ended = run_once(now, board);
    if (ended.code == 0 || ended.code == 2 || ended.asked) return ended.code;
    const auto signs = board.signs();
    const auto what = what_failed(ended, uses_mpirun(now), signs);
    if (restart == options.max_restarts) {
      note(what);
      return ended.code;
    }
    const bool fewer = restart > 0 && !finished_a_step(signs) && !now.smaller.empty();
    if (fewer) take_smaller(now);
    add_resume(now);
    note(
        fmt::format("{}; starting it again{} ({} of {})", what,
                    fewer ? fmt::format(" on {} rank{}", now.ranks, now.ranks == 1 ? "" : "s") : "",
                    restart + 1, options.max_restarts));
  }
}

}  // namespace autarky
