#include "launch/mpirun.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/words.h"

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

std::string host_list(const LaunchOptions& options) {
  if (options.hosts.empty()) return "";
  const auto hosts = split(options.hosts, ',');
  const int each = (options.ranks + int(hosts.size()) - 1) / int(hosts.size());
  std::string list;
  for (const auto& host : hosts)
    list += fmt::format("{}{}:{}", list.empty() ? "" : ",", host.substr(0, host.rfind(':')),
                        slots_of(host, each));
  return list;
}

std::vector<std::string> mpirun_command(const LaunchOptions& options, const std::string& mpirun,
                                        const Environment& environment, bool root) {
  // Ranks die with the thread that forked them: that is mpirun's first, not one of a pool.
  std::vector<std::string> words{
      mpirun, "--quiet", "--bind-to", "none", "--oversubscribe", "--mca", "odls_base_num_threads",
      "0"};
  if (root) words.push_back("--allow-run-as-root");
  words.insert(words.end(), {"-n", std::to_string(options.ranks)});
  if (const auto hosts = host_list(options); !hosts.empty())
    words.insert(words.end(), {"--host", hosts});
  for (const auto& [name, value] : environment)
    words.insert(words.end(), {"-x", fmt::format("{}={}", name, value)});
  words.push_back(options.program);
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  return words;
}

}  // namespace autarky
