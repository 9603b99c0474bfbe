// What all ranks must know alike before they go on. Every rank makes the same calls in the same
// order.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "comm/comm.h"

namespace autarky {

// Every rank's number, by rank.
std::vector<std::int64_t> gather_all(Comm& comm, std::int64_t mine);
std::vector<double> gather_all(Comm& comm, double mine);
std::vector<std::string> gather_all(Comm& comm, const std::string& mine);  // 511 bytes of each

std::int64_t greatest(Comm& comm, std::int64_t mine);
bool any_rank(Comm& comm, bool mine);
bool every_rank(Comm& comm, bool mine);
// Rank 0's number.
std::int64_t from_first(Comm& comm, std::int64_t mine);
// Returns when all ranks have come here.
void barrier(Comm& comm);

}  // namespace autarky
