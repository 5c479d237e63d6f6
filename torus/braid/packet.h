// What a torus publishes at the end of an epoch: seal, projection and event batches (DESIGN 2.3, 3.1).
// Size: projection at most kProjectionBytesMax encoded; seal and batches bounded below. Threads: none.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/digest.h"
#include "torus/base/result.h"
#include "torus/engine/event.h"

namespace rse {

inline constexpr std::size_t kProjectionBytesMax = 4700;
inline constexpr std::size_t kInjectionsPerSealMax = 4096;
inline constexpr std::size_t kBatchEventsMax = 1u << 18;  // = Capacity::outbox_events at most

/// An input from outside; enters its torus at the start of the epoch two after the one that sealed it.
struct Injection {
  enum class Kind : std::uint8_t { kEvent = 0, kSpawn = 1 };
  ClientId client;             // 0: no client, never deduplicated
  std::uint64_t sequence = 0;  // per client, strictly increasing; a repeated one is dropped by the torus
  Kind kind = Kind::kEvent;
  CellId dst;
  CellId src;                  // kEvent; the destination unless given
  std::int32_t payload = 0;    // kEvent
  std::string program;         // kSpawn; at most kProgramNameBytesMax
  std::string args;            // kSpawn; at most kProgramArgsBytesMax
  friend bool operator==(const Injection&, const Injection&) = default;
};

/// The injections that the host of a torus accepted during an epoch; recorded input of the torus.
struct Seal {
  bool waiting = false;  // more injections wait for a later seal: the torus is not quiet
  std::vector<Injection> injections;
  friend bool operator==(const Seal&, const Seal&) = default;
};

/// Constant-size summary of torus `torus` at the end of `epoch`; every field is a function of the run.
struct Projection {
  RunId run;
  TorusId torus;
  Epoch epoch;
  Tick end_tick;                  // start(epoch + 1) if no leap follows
  std::uint64_t events = 0;       // totals
  std::uint64_t pending = 0;
  std::uint64_t refused = 0;
  std::uint64_t processes = 0;
  std::uint64_t edges = 0;
  std::uint64_t load = 0;         // events processed in `epoch`
  Tick next_event_time{~0ull};    // 2^64-1: none pending
  bool quiet = false;
  std::array<std::uint32_t, kFaceCellCount> boundary_states{};  // x = 0 face, index y*32 + z, this epoch
  std::array<std::int64_t, 16> constraint_vector{};             // ConstraintIndex
  std::uint64_t violations = 0;   // of this epoch
  std::uint64_t event_digest = 0;
  friend bool operator==(const Projection&, const Projection&) = default;

  /// Nothing happened, and nothing will by itself.
  bool idle() const { return quiet && next_event_time.raw == ~0ull; }
};

/// Totals at the end of the epoch; the rest of the vector is zero.
enum ConstraintIndex : std::uint8_t {
  kSentToNext = 0,        // events sent to torus (X+1) mod 3
  kSentToPrevious = 1,    // ... (X+2) mod 3
  kReceivedFromNext = 2,
  kReceivedFromPrevious = 3,
  kProcessesBorn = 4,
  kProcessesEnded = 5,
  kMovedOut = 6,
  kMovedIn = 7,
  kInjectionsDelivered = 8,
  kOutputs = 9,
};

/// All that the host of `torus` sends at the end of `epoch`. A copy for one peer carries that peer's batch only.
struct Packet {
  RunId run;
  TorusId torus;
  Epoch epoch;
  Epoch next_epoch;  // the epoch this torus runs next: epoch + 1, or where it leaps to
  Seal seal;
  Projection projection;
  std::vector<Event> batch_to_next;      // to torus (X+1) mod 3
  std::vector<Event> batch_to_previous;  // to torus (X+2) mod 3
  const std::vector<Event>& batch_to(TorusId to) const {
    return to == next_torus(torus) ? batch_to_next : batch_to_previous;
  }
  friend bool operator==(const Packet&, const Packet&) = default;
};

/// Canonical fixed-size bytes: the same torus at the same epoch gives the same on every machine.
void encode_projection(const Projection& projection, Bytes& out);
Digest256 projection_digest(const Projection& projection);
Result<Projection> decode_projection(ByteReader& reader);
void encode_seal(const Seal& seal, Bytes& out);
Result<Seal> decode_seal(ByteReader& reader);
Digest256 seal_hash(const Seal& seal);
/// Whole packets, for checkpoints and gathers between nodes of one version. Counts are bounded before allocation and
/// every event must come from `torus` and go to the right peer.
void encode_packet(const Packet& packet, Bytes& out);
Result<Packet> decode_packet(ByteReader& reader);

}  // namespace rse
