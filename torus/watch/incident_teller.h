// What a node tells of itself (incident_report.h).
// Threads: one. Memory: none. Errors: none.
#pragma once

#include <array>
#include <optional>

#include "torus/braid/braid_node.h"
#include "torus/watch/incident_report.h"

namespace rse {

/// Said by every node in the same words, about all of them; the rest is about the teller ("runs here").
bool is_of_all(std::uint32_t kind);
/// nullopt: others notice it themselves, and when is of no interest.
std::optional<IncidentReport> report_of(const BraidEvent& event, Instant now);

/// Which tori hosted here have come from elsewhere and not yet finished an epoch of their own.
class FirstEpochs {
 public:
  void on_event(const BraidEvent& event, bool hosted_here);
  /// `torus`, hosted by `self`, has run an epoch and goes on with `next`. With its first one: what to say about it.
  std::optional<IncidentReport> on_epoch(TorusId torus, NodeId self, Epoch next);

 private:
  std::array<bool, kTorusCount> due_{};
};

}  // namespace rse
