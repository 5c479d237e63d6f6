// Sorts a few events of a tick by rank: counts for each how many are smaller. Quadratic, but no branch depends on the events,
// where an insertion mispredicts about once an event, which costs more than ten comparisons.
// Size: at most rank_count_max() events. Threads: none. Memory: the caller's, and a kilobyte of stack. Errors: none.
// Invariant: ascending, whatever the input and whichever instructions the machine has.
#pragma once

#include <cstdint>

#include "torus/engine/packed_event.h"

namespace rse {

/// So many words behind the events are read, and behind the place for the sorted ones overwritten.
inline constexpr std::uint32_t kRankPadding = 8;

/// Up to so many events it is the quickest way: more where four comparisons are one instruction.
std::uint32_t rank_count_max();

/// Sorts `count` events, at least one, into `to`, which is elsewhere.
void rank_sort(const PackedEvent* events, std::uint32_t count, PackedEvent* to);

}  // namespace rse
