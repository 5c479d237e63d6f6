// What each torus received, did, sent and decided in an epoch, out of the packets of a run that is executed here; and events that
// somebody looks for among those that cross from outside or between tori.
// Threads: one. Memory: three epochs. Errors: none.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "node/local_run.h"

namespace rse {

/// Of one torus in one epoch. Peers in the order next, previous.
struct TorusTrace {
  std::array<std::uint64_t, 2> received{};  // events that this epoch delivered, sent two epochs ago
  std::uint64_t injected = 0;               // likewise, sealed two epochs ago
  std::uint64_t events = 0;                 // processed
  std::uint64_t violations = 0;             // of the boundary, found in what the torus before published two epochs ago
  std::array<std::uint64_t, 2> sent{};
  std::uint64_t sealed = 0;                 // injections taken in, for two epochs later
  std::uint64_t pending = 0;
  std::uint64_t refused = 0;                // so far
  std::uint64_t processes = 0;
  std::uint64_t event_digest = 0;
  std::uint64_t end_tick = 0;
  std::uint64_t next_epoch = 0;
  bool quiet = false;
};

struct EpochTrace {
  std::uint64_t epoch = 0;
  std::array<TorusTrace, kTorusCount> tori;
};

class Tracer {
 public:
  /// Of consecutive epochs, but for those that were leapt over.
  EpochTrace take(Epoch epoch, const LocalRun::EpochPackets& packets);

 private:
  std::deque<EpochTrace> past_;  // what was sent two epochs ago
};

std::string trace_text(const EpochTrace& trace);
/// One object, without a newline.
std::string trace_json(const EpochTrace& trace);

/// What `rse replay` stops at; everything that is given has to hold.
struct EventFilter {
  std::optional<CellId> to;
  std::optional<CellId> from;
  std::optional<std::int32_t> payload;
  bool empty() const { return !to && !from && !payload; }
  bool matches(CellId dst, CellId src, std::int32_t value) const {
    return (!to || *to == dst) && (!from || *from == src) && (!payload || *payload == value);
  }
};
/// The first event of the epoch that matches, as a sentence: injections sealed, and events sent from torus to torus.
std::optional<std::string> find_event(const EventFilter& filter, const LocalRun::EpochPackets& packets);

}  // namespace rse
