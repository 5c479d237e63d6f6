// Agreement alone, under what whole clusters meet too rarely: several proposers at once for one view number, messages that are
// lost, doubled and arrive in any order, however late, and voters that restart with what was on their disks.
// Threads: none. Memory: some hundred messages. Errors: none. The same seed gives the same duel.
#pragma once

#include <cstdint>
#include <string>

namespace rse::sim {

/// Empty, or which two values were decided.
std::string duel(std::uint64_t seed);

}  // namespace rse::sim
