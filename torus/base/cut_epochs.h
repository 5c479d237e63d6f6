// How many epochs pass between two cuts at most (torus/braid/cut_rule.h): a cluster's nodes agree on it, like on capacities.
// Size: two numbers. Threads, memory, errors: none.
#pragma once

#include <cstdint>

namespace rse {

/// An epoch costs a host some 45 us to replay even when little happens in it, so these are some 11 ms.
inline constexpr std::uint64_t kCutEpochsMax = 256;
inline constexpr std::uint64_t kCutEpochsMin = 4;

}  // namespace rse
