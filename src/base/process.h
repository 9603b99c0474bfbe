// Memory and processors of this process and their limits.
#pragma once
#include <cstdint>
#include <string>

namespace autarky {

// RssAnon + RssShmem + program text, in bytes: what the process itself needs; mapped data files do
// not count.
std::int64_t resident_bytes();
// What this process may use: the smaller of the machine's memory and the cgroup's limit (v1 and
// v2).
std::int64_t memory_limit_bytes();
// What of it is free: neither this process nor the machine's others have it.
std::int64_t free_memory_bytes();
// Processors that this process may use at once: those it may run on, at most the cgroup's share of
// their time (v1 and v2), at least 1.
int usable_cores();
// How long, since the machine started, something was ready to run and no processor was free; 0
// where the system does not count it.
double processor_wait_s();
// Of this machine; "" if it has none.
std::string host_name();
// The path of a program that the shell would find; "" if there is none.
std::string find_program(const std::string& name);

}  // namespace autarky
