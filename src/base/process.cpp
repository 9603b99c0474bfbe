#include "base/process.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string>

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
  for (std::string line; std::getline(groups, line);)
    if (const auto colon = line.rfind(':'); line.starts_with("0::") && colon + 1 < line.size())
      limit = std::min(limit, limit_in("/sys/fs/cgroup" + line.substr(colon + 1) + "/memory.max"));
  return limit;
}

}  // namespace autarky
