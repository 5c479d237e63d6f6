// Short stories about one danger each, for what whole schedules meet too rarely. Each runs a small cluster until the moment that
// matters and makes it happen there. Threads: none. Memory: as a simulation. Errors: none. The same seed gives the same story.
#pragma once

#include <cstdint>
#include <string>

namespace rse::sim {

/// All nodes lose power at the very moment at which a client is answered, and with it everything that was not synced.
/// Empty, or the promise that was broken.
std::string blackout(std::uint64_t seed);

/// A host dies while its last packets are on a slow way to the others, who have made another its successor when they arrive.
std::string latecomers(std::uint64_t seed);

}  // namespace rse::sim
