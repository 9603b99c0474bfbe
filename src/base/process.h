// Memory of this process and its limits.
#pragma once
#include <cstdint>

namespace autarky {

// RssAnon + RssShmem + program text, in bytes: what the process itself needs; mapped data files do
// not count.
std::int64_t resident_bytes();
// What this process may use: the smaller of the machine's memory and the cgroup's limit (v1 and
// v2).
std::int64_t memory_limit_bytes();

}  // namespace autarky
