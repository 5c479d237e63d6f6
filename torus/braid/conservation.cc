#include "torus/braid/conservation.h"

namespace rse {
namespace {

std::string torus_name(TorusId torus) { return std::string("torus ") + letter_of(torus); }

std::string broken_time(const Projections& projections) {
  const Projection& first = *projections[0];
  for (const Projection* projection : projections) {
    if (projection->end_tick == first.end_tick) continue;
    return "time: epoch " + std::to_string(first.epoch.raw) + " ends at tick " +
           std::to_string(first.end_tick.raw) + " in " + torus_name(first.torus) + " but at tick " +
           std::to_string(projection->end_tick.raw) + " in " + torus_name(projection->torus);
  }
  return {};
}

std::string broken_events(const Projection& peer, const Torus& own) {
  const auto index = next_torus(peer.torus) == own.id() ? kSentToNext : kSentToPrevious;
  const auto sent = static_cast<std::uint64_t>(peer.constraint_vector[index]);
  const std::uint64_t received = own.counters().received[peer.torus.raw];
  if (sent == received) return {};
  return "event conservation: " + torus_name(peer.torus) + " says it sent " + std::to_string(sent) +
         " events to " + torus_name(own.id()) + " up to epoch " + std::to_string(peer.epoch.raw) +
         ", which received " + std::to_string(received);
}

std::string broken_processes(const Projection& projection) {
  const auto total = [&](ConstraintIndex index) {
    return static_cast<std::uint64_t>(projection.constraint_vector[index]);
  };
  const std::uint64_t alive =
      total(kProcessesBorn) - total(kProcessesEnded) + total(kMovedIn) - total(kMovedOut);
  if (alive == projection.processes) return {};
  return "process conservation: " + torus_name(projection.torus) + " says " +
         std::to_string(projection.processes) + " processes live there after epoch " +
         std::to_string(projection.epoch.raw) + ", births, ends and moves make " +
         std::to_string(alive);
}

}  // namespace

std::string broken_law(const Projections& projections, const Torus& own) {
  if (std::string law = broken_time(projections); !law.empty()) return law;
  for (const Projection* projection : projections) {
    if (projection->torus != own.id()) {
      if (std::string law = broken_events(*projection, own); !law.empty()) return law;
    }
    if (std::string law = broken_processes(*projection); !law.empty()) return law;
  }
  return {};
}

}  // namespace rse
