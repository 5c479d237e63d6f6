#include "torus/watch/incident_teller.h"

#include <utility>

namespace rse {
namespace {

using Kind = BraidEvent::Kind;
static_assert(static_cast<std::uint32_t>(Kind::kJoined) == kIncidentEventMax);

}  // namespace

bool is_of_all(std::uint32_t kind) {
  return kind == static_cast<std::uint32_t>(Kind::kPeerLost) || kind == static_cast<std::uint32_t>(Kind::kViewInstalled);
}

std::optional<IncidentReport> report_of(const BraidEvent& event, Instant now) {
  switch (event.kind) {
    case Kind::kPeerLost:
    case Kind::kViewInstalled:
    case Kind::kRebuildStarted:
    case Kind::kRebuildReplaying:
    case Kind::kRebuilt:
    case Kind::kHandedOver:
    case Kind::kAlarm:
    case Kind::kJoined: break;
    default: return std::nullopt;
  }
  return IncidentReport{.kind = static_cast<std::uint32_t>(event.kind),
                        .age = elapsed(event.at, now),
                        .node = event.node,
                        .torus = event.torus,
                        .epoch = event.epoch,
                        .text = event.text};
}

void FirstEpochs::on_event(const BraidEvent& event, bool hosted_here) {
  if ((event.kind == Kind::kRebuilt || event.kind == Kind::kHandedOver) && event.torus && hosted_here) due_[event.torus->raw] = true;
}

std::optional<IncidentReport> FirstEpochs::on_epoch(TorusId torus, NodeId self, Epoch next) {
  if (!std::exchange(due_[torus.raw], false)) return std::nullopt;
  return IncidentReport{.kind = kIncidentFirstEpoch,
                        .node = self,
                        .torus = torus,
                        .epoch = next,
                        .text = std::string("torus ") + letter_of(torus) + " has run its first epoch here"};
}

}  // namespace rse
