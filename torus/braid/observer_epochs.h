// How far an observer may be behind and still miss nothing (docs/internals/braid.md, "Observers").
// Size: a number. Threads, memory, errors: none.
#pragma once

#include <cstdint>

namespace rse {

inline constexpr std::uint64_t kObserverEpochsMax = 256;

}  // namespace rse
