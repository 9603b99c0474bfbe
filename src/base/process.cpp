#include "base/process.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string>

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

// The least limit of a group, as "/a/b", and of all above it.
std::int64_t group_limit(const std::string& root, std::string_view group, std::string_view file) {
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();
  while (true) {
    limit = std::min(limit, limit_in(fmt::format("{}{}/{}", root, group, file)));
    if (group.empty()) return limit;
    group = group.substr(0, group.rfind('/') == group.npos ? 0 : group.rfind('/'));
  }
}

// Of a line of /proc/self/cgroup: "0::/a/b" (v2) or "4:cpu,memory:/a/b" (v1).
std::int64_t limit_of_line(std::string_view line) {
  const auto first = line.find(':'), second = line.find(':', first + 1);
  if (first == line.npos || second == line.npos) return std::numeric_limits<std::int64_t>::max();
  const auto controllers = line.substr(first + 1, second - first - 1);
  const auto group = line.substr(second + 1);
  if (controllers.empty()) return group_limit("/sys/fs/cgroup", group, "memory.max");
  for (const auto& name : split(controllers, ','))
    if (name == "memory")
      return group_limit("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
  return std::numeric_limits<std::int64_t>::max();
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
  std::int64_t limit = std::int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  limit = std::min(limit, limit_in("/sys/fs/cgroup/memory.max"));
  limit = std::min(limit, limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) limit = std::min(limit, limit_of_line(line));
  return limit;
}

}  // namespace autarky
