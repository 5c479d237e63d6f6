// When a cut is due (DESIGN 3.2): as often as the budget for changed data allows, so that replay stays short. A function
// of the projections of two epochs before, so that the three tori agree without asking.
// Size: 32 bytes. Threads, memory: none. Errors: none.
#pragma once

#include <array>
#include <cstdint>

#include "torus/base/cut_epochs.h"
#include "torus/braid/packet.h"

namespace rse {

inline constexpr std::uint64_t kCutBytesPerMicrosecond = 20;  // budget: 20 MB/s
inline constexpr std::uint64_t kCutPeriodMicrosecondsMin = 20'000;
inline constexpr std::uint64_t kCutPeriodMicrosecondsMax = 1'000'000;
inline constexpr std::uint64_t kReplayEventsPerMicrosecond = 50;

/// The three projections of one epoch, by torus.
using Projections = std::array<const Projection*, kTorusCount>;

/// Events by which the busiest torus may be ahead of its last cut.
std::uint64_t cut_event_threshold(const Projections& projections);

struct CutRule {
  std::uint64_t epochs_at_last_cut = 0;  // = its epoch + 1; 0: the scenario itself is cut 0
  std::array<std::uint64_t, kTorusCount> events_at_last_cut{};  // by torus, from the projections that made it due
  friend bool operator==(const CutRule&, const CutRule&) = default;

  /// Whether a cut is due at the end of `epoch`, given the projections of `epoch` - 2; notes it when it is.
  bool note(Epoch epoch, const Projections& projections, std::uint64_t epochs_max = kCutEpochsMax);
};

}  // namespace rse
