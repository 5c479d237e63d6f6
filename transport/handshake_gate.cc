#include "transport/handshake_gate.h"

#include <algorithm>

namespace rse {

bool HandshakeGate::Budget::take(Instant now, std::uint64_t rate, std::uint64_t burst) {
  const std::uint64_t cost = 1'000'000'000 / rate;
  spent_nanoseconds -= std::min(spent_nanoseconds, elapsed(at, now).raw);
  at = now;
  if (spent_nanoseconds + cost > burst * cost) return false;
  spent_nanoseconds += cost;
  return true;
}

bool HandshakeGate::admit(const std::string& source, Instant now) {
  if (sources_.size() >= kGateSourcesMax && !sources_.contains(source)) {
    // Those whose budget is full again are as good as unknown.
    std::erase_if(sources_, [&](const auto& entry) { return elapsed(entry.second.at, now).raw >= entry.second.spent_nanoseconds; });
    if (sources_.size() >= kGateSourcesMax) sources_.erase(sources_.begin());
  }
  // The source first: what it has too much of must not use up what is for all.
  const bool admitted = sources_[source].take(now, kGateSourceRate, kGateSourceBurst) && all_.take(now, kGateRate, kGateBurst);
  refused_ += !admitted;
  return admitted;
}

}  // namespace rse
