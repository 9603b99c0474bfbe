// How long collectives take between the ranks of a communicator.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "comm/comm.h"

namespace autarky {

enum class CollectiveKind : std::uint8_t { all_reduce, reduce_scatter, all_gather, all_to_all };
inline constexpr std::array<std::string_view, 4> kCollectiveNames = {"all_reduce", "reduce_scatter",
                                                                     "all_gather", "all_to_all"};

// Median seconds of a collective of f32 that all ranks do at once, on this rank. `bytes`: the whole
// vector that is reduced, gathered or exchanged; at least one element for each rank.
double measured_seconds(Comm& comm, CollectiveKind what, std::size_t bytes);

// What each rank sends over its link by a ring: 2 (n - 1) / n of the bytes for an all-reduce,
// (n - 1) / n for the others.
double bus_bytes(CollectiveKind what, std::size_t bytes, int ranks);

}  // namespace autarky
