// Sorts the events of one tick into canonical order.
// Size: any count. Threads: none. Memory: the caller's scratch, as large as the input. Errors:
// none. Invariant: ascending, whatever the input; time is bounded by n log n for any input.
#pragma once

#include <cstdint>

#include "torus/engine/packed_event.h"

namespace rse {

/// Sorts `count` events; the result is in `events` or in `scratch`, whichever is returned.
PackedEvent* sort_events(PackedEvent* events, PackedEvent* scratch, std::uint32_t count);

}  // namespace rse
