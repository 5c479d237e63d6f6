#include "torus/braid/cut_rule.h"

#include <algorithm>

namespace rse {
namespace {

// What of a torus changes between cuts, at worst: all of it.
constexpr std::uint64_t kEventBytes = 24;
constexpr std::uint64_t kEdgeBytes = 16;
constexpr std::uint64_t kProcessBytes = 64;

}  // namespace

std::uint64_t cut_event_threshold(const Projections& projections) {
  std::uint64_t bytes_max = 0;
  for (const Projection* projection : projections) {
    bytes_max = std::max(bytes_max, kEventBytes * projection->pending + kEdgeBytes * projection->edges +
                                        kProcessBytes * projection->processes);
  }
  const std::uint64_t period = std::clamp(bytes_max / kCutBytesPerMicrosecond,
                                          kCutPeriodMicrosecondsMin, kCutPeriodMicrosecondsMax);
  return period * kReplayEventsPerMicrosecond;
}

bool CutRule::note(Epoch epoch, const Projections& projections, std::uint64_t epochs_max) {
  std::uint64_t replay_max = 0;
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
    replay_max = std::max(replay_max, projections[torus]->events - events_at_last_cut[torus]);
  }
  const bool due = replay_max >= cut_event_threshold(projections) ||
                   epoch.raw + 1 - epochs_at_last_cut >= epochs_max;
  if (!due) return false;
  epochs_at_last_cut = epoch.raw + 1;
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
    events_at_last_cut[torus] = projections[torus]->events;
  }
  return true;
}

}  // namespace rse
