#include "base/process.h"

#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/words.h"

namespace autarky {
namespace {

std::int64_t status_kb(std::string_view line, std::string_view key) {
  if (!line.starts_with(key)) return 0;
  line.remove_prefix(std::min(line.find_first_of("0123456789"), line.size()));
  std::int64_t kb = 0;
  std::from_chars(line.data(), line.data() + line.size(), kb);
  return kb;
}

// A limit file's number; none, or "max": no limit.
std::int64_t limit_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : std::numeric_limits<std::int64_t>::max();
}

// The least that `limit` says of the folders of a group, as "/a/b", and of all above it.
template <class Limit>
auto least_of_group(const std::string& root, std::string_view group, Limit&& limit) {
  auto least = limit(root);
  for (; !group.empty(); group = group.substr(0, group.rfind('/')))
    least = std::min(least, limit(root + std::string(group)));
  return least;
}

// The least limit of this process' groups, as lines of /proc/self/cgroup name them: "0::/a/b" (v2)
// or "4:cpu,memory:/a/b" (v1). Containers often see their own group at the root.
template <class Limit>
auto least_limit(std::string_view controller, const std::string& file_v2,
                 const std::string& file_v1, Limit&& limit) {
  const std::string v2 = "/sys/fs/cgroup", v1 = fmt::format("{}/{}", v2, controller);
  const auto of_v2 = [&](const std::string& folder) { return limit(folder + "/" + file_v2); };
  const auto of_v1 = [&](const std::string& folder) { return limit(folder + "/" + file_v1); };
  auto least = std::min(of_v2(v2), of_v1(v1));
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos || line.find('/', second) != second + 1) continue;
    const auto names = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    const std::string_view group = path == "/" ? std::string_view() : std::string_view(path);
    const auto controllers = split(names, ',');
    if (names.empty()) least = std::min(least, least_of_group(v2, group, of_v2));
    else if (std::find(controllers.begin(), controllers.end(), controller) != controllers.end())
      least = std::min(least, least_of_group(v1, group, of_v1));
  }
  return least;
}

// Of cpu.max, "200000 100000" or "max 100000", and of cpu.cfs_quota_us, with the period beside it.
double cores_in(const std::string& path) {
  const double unlimited = std::numeric_limits<double>::max();
  std::ifstream file(path);
  double quota = 0, period = 0;
  if (!(file >> quota) || quota <= 0) return unlimited;
  if (!(file >> period))
    std::ifstream(fs::path(path).parent_path() / "cpu.cfs_period_us") >> period;
  return period > 0 ? quota / period : unlimited;
}

}  // namespace

std::int64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::int64_t kb = 0;
  for (std::string line; std::getline(status, line);)
    for (const auto* key : {"RssAnon:", "RssShmem:", "VmExe:"}) kb += status_kb(line, key);
  return kb * 1024;
}

std::int64_t memory_limit_bytes() {
  const std::int64_t memory = std::int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return std::min(memory, least_limit("memory", "memory.max", "memory.limit_in_bytes", limit_in));
}

std::int64_t free_memory_bytes() {
  std::ifstream machine("/proc/meminfo");
  std::int64_t available = std::numeric_limits<std::int64_t>::max();
  for (std::string line; std::getline(machine, line);)
    if (line.starts_with("MemAvailable:")) available = status_kb(line, "MemAvailable:") * 1024;
  return std::clamp<std::int64_t>(memory_limit_bytes() - resident_bytes(), 0, available);
}

int usable_cores() {
  cpu_set_t allowed;
  int cores = int(std::max(1u, std::thread::hardware_concurrency()));
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) cores = CPU_COUNT(&allowed);
  const double share = least_limit("cpu", "cpu.max", "cpu.cfs_quota_us", cores_in);
  return std::max(1, int(std::min(double(cores), std::ceil(share))));
}

double processor_wait_s() {
  std::ifstream pressure("/proc/pressure/cpu");  // "some avg10=0.00 ... total=MICROSECONDS"
  std::string line;
  std::getline(pressure, line);
  const auto at = line.find("total=");
  return line.starts_with("some") && at != line.npos ? std::atof(line.c_str() + at + 6) * 1e-6 : 0;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const auto& folder : split(path ? path : "", ':'))
    if (const auto file = folder + "/" + name;
        !folder.empty() && ::access(file.c_str(), X_OK) == 0 && fs::is_regular_file(file))
      return file;
  return "";
}

}  // namespace autarky
