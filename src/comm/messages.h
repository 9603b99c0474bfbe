// What communicators say when an operation fails: the same words from all of them.
#pragma once
#include "comm/comm.h"

namespace autarky {

// "rank 0: all_reduce tp number 3 of 16 bytes (decoder.cpp:57)"
std::string describe(int rank, const CommTag& tag, std::uint64_t sequence, std::size_t bytes);
// Of `members` ranks `missing` did not take part in time.
std::string missed_deadline(const std::string& description, std::chrono::milliseconds deadline,
                            std::size_t members, std::span<const int> missing);
// A member handed in another number of bytes.
std::string other_bytes(const std::string& description, int member, std::uint64_t bytes);

}  // namespace autarky
