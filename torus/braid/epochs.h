// When epochs begin and end: start, length K and the calm counter q (DESIGN 2.1, 2.3), and where a leap lands.
// Size: 48 bytes. Threads, memory: none. Errors: none; a tick beyond 2^64-1 saturates and is remembered (exhausted).
// Invariant: passing over n epochs at once gives the same as n times enter(0), finish().
#pragma once

#include <cstdint>

#include "torus/base/strong.h"

namespace rse {

inline constexpr Tick kLastTick{~std::uint64_t{0}};
inline constexpr std::uint64_t kAdaptiveTicksMin = 100;    // bound of halving
inline constexpr std::uint64_t kAdaptiveTicksMax = 10000;  // bound of doubling
inline constexpr std::uint64_t kShrinkAboveViolations = 24;
inline constexpr std::uint32_t kCalmEpochsToGrow = 8;

enum class EpochLength : std::uint8_t { kFixed = 0, kAdaptive = 1 };

struct Epochs {
  EpochLength mode = EpochLength::kFixed;
  Epoch next;                // the epoch that runs next, or runs
  Tick start;                // of that epoch
  std::uint64_t length = 1;  // K of the epoch before it; after enter(), its own; at least 1
  std::uint32_t calm = 0;    // q, 0..7; always 0 in mode kFixed
  bool exhausted = false;    // an epoch would have ended beyond kLastTick and ends there instead

  friend bool operator==(const Epochs&, const Epochs&) = default;

  /// Decides K(next) from V(next - 2), which epochs 0 and 1 ignore. Once an epoch.
  void enter(std::uint64_t violations_two_before);
  /// End of the epoch entered. Not beyond kLastTick.
  Tick end() const;
  void finish();

  /// Passes over `count` epochs without violations: closed form once K no longer changes.
  void pass_over(std::uint64_t count);
  /// The epoch that holds `time` if no violation comes: `next` itself when `time` is before its end. Called at a boundary
  /// (between finish() and enter()), with `time` before kLastTick.
  Epoch holder_of(Tick time) const;

 private:
  bool steady() const;
  void pass_over_steady(std::uint64_t count);
};

}  // namespace rse
