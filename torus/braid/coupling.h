// Boundary coupling (DESIGN 2.3): the constraints of one epoch between the x=0 face of torus X and the x=31 face of
// Y = X+1, applied by Y two epochs later. Size: 32 constraints an epoch. Threads, memory, errors: none.
// Invariant: over 32 epochs every cell of the face is constrained once.
#pragma once

#include <array>
#include <cstdint>

#include "torus/engine/torus.h"

namespace rse {

inline constexpr std::size_t kConstraintsPerEpoch = kSide;
inline constexpr std::int64_t kCorrectionMax = 8;  // ticks of delay, either way

/// What Y's own side of the constraints of one epoch counted; constraint i is at index i.
using ConstraintCounts = std::array<std::uint32_t, kConstraintsPerEpoch>;

/// Index y*32 + z, on either face, of constraint `i` of `epoch`.
constexpr std::uint32_t constraint_cell(std::size_t i, Epoch epoch) {
  return static_cast<std::uint32_t>(i * kSide + (i + epoch.raw) % kSide);
}

/// The corrective payload for a difference `expected - actual` beyond the tolerance; 0: too small to correct.
constexpr std::int32_t correction_of(std::int64_t difference) {
  const std::int64_t half = difference / 2;  // toward zero
  return static_cast<std::int32_t>(half < -kCorrectionMax  ? -kCorrectionMax
                                   : half > kCorrectionMax ? kCorrectionMax
                                                           : half);
}

/// What of a whole face's counts has to be kept until the neighbour's states of `epoch` arrive.
ConstraintCounts constraint_counts(std::span<const std::uint32_t, kFaceCellCount> face, Epoch epoch);

/// Compares, delivers the corrective events into `own`, which is between begin_epoch() and run_epoch(), and returns the
/// count of violations. `expected`: boundary states of the torus before `own`, of `epoch`.
std::uint64_t apply_constraints(std::span<const std::uint32_t, kFaceCellCount> expected,
                                const ConstraintCounts& actual, Epoch epoch, std::uint32_t tolerance,
                                Torus& own);

}  // namespace rse
