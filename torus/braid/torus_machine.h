// The deterministic machine that the contract of DESIGN 2 is about: engine, epochs, boundary coupling, seals, leaps and
// the rule for cuts. The state after epoch j is a pure function of the scenario (or a checkpoint) and of the inputs
// since: peers' packets and own seals. Knows nothing of nodes, views or messages.
// Threads: one at a time. Memory: the torus's arena plus the last two packets. Errors: bad bytes are returned; calls out
// of order are assertions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "torus/base/digest.h"
#include "torus/braid/packet.h"
#include "torus/braid/scenario.h"
#include "torus/engine/torus.h"

namespace rse {

/// 128 regions of cells, then the head (engine head and machine state).
inline constexpr std::size_t kRegionCount = kCellRegionCount + 1;
inline constexpr std::size_t kHeadRegion = kCellRegionCount;
inline constexpr std::size_t kRegionBytesMax = 256u << 20;

/// The canonical serialisation of a torus at an epoch boundary. state digest = BLAKE2b-256 over the region digests.
struct RegionDigests {
  std::array<Digest256, kRegionCount> of{};
  Digest256 state_digest() const;
  friend bool operator==(const RegionDigests&, const RegionDigests&) = default;
};

class TorusMachine {
 public:
  TorusMachine(TorusId id, const Capacity& capacity);
  ~TorusMachine();

  /// Starts run `run` of `scenario` at epoch 0 (cut 0). Only what concerns this torus is taken. What does not fit is an
  /// error and leaves the machine empty; `kTimeOverflow`: see DESIGN 2.1.
  Result<void> load(RunId run, const Scenario& scenario);

  /// The epoch that runs next. After a leap it is not the last one plus one.
  Epoch next_epoch() const;
  Tick next_start() const;         // start(next_epoch())
  /// Between run_epoch() and seal(): K of that epoch. Otherwise K of the epoch before next_epoch(), whose own K is not
  /// known before its inputs are.
  std::uint64_t next_length() const;
  /// Whether an epoch would have ended beyond tick 2^64-1. It ended there, and nothing happens any more.
  bool ticks_exhausted() const;
  RunId run() const;
  TorusId id() const;

  /// True when next_epoch() needs the peers' packets of `input_epoch()` (= next_epoch() - 2): false for epochs 0 and 1 and
  /// when a leap skipped that epoch, in which case run() takes nullptr.
  bool needs_inputs() const;
  Epoch input_epoch() const;

  /// Runs next_epoch(). Packets are of input_epoch(), from torus (X+1) mod 3 and (X+2) mod 3, or both nullptr. The
  /// heavy call: everything else is cheap. Afterwards the machine waits for seal().
  void run_epoch(const Packet* from_next, const Packet* from_previous);

  /// No leap passes `limit` from now on: the machine stops there, in the state in which running every epoch would have
  /// left it. Not part of the state. {0}: no leaps at all, every epoch is run.
  void set_leap_limit(Epoch limit);

  /// A cut is due after `count` epochs at the latest. Not part of the state, and the same wherever a run is run: for tests
  /// and simulations, whose runs are shorter than kCutEpochsMax.
  void set_cut_epochs_max(std::uint64_t count);

  /// After run_epoch(): whether the seal of this epoch has to be empty (the torus promised so, DESIGN 2.3 Leap).
  bool must_seal_empty() const;
  bool awaiting_seal() const;
  /// Ends the epoch with its seal: computes the quiet flag, keeps and returns the packet (both batches). The reference
  /// lives until the seal() two epochs later.
  const Packet& seal(Seal seal);

  /// The torus's own packets of the last two run epochs (they are part of the checkpoint); nullptr: never run or skipped.
  const Packet* own_packet(Epoch epoch) const;

  /// After seal(): whether a cut is due at the end of the epoch just sealed. A function of the projections of two epochs
  /// before, so the three tori agree.
  bool cut_due() const;

  /// First broken conservation law found in the inputs of the last run_epoch(), as a sentence; empty: none.
  const std::string& alarm() const;

  /// Whether the client's sequence has been applied or is in a seal that waits to be (for answering repeats).
  bool has_applied(ClientId client, std::uint64_t sequence) const;

  // --- Checkpoints, between seal() and the next run_epoch(), or before epoch 0. ---
  /// Writes region `region` (128 = head) in canonical bytes.
  void write_region(std::size_t region, Bytes& out) const;
  /// Digests of all regions; only those changed since the last call are serialised and hashed again.
  const RegionDigests& region_digests();
  /// Gives `serialised` the head and every region that may have changed since the last call (since load() or a restore: all).
  /// What a cut costs the torus; hashing is left to the caller. Independent of region_digests().
  void write_changed_regions(const std::function<void(std::size_t region, Bytes bytes)>& serialised);
  /// Restores from all regions; they must be those that the digests name. On error the machine is empty.
  Result<void> restore(std::span<const Bytes> regions);
  /// The same a region at a time, as they arrive: the head, which begins it; the others in any order; then the end. On error
  /// the machine is empty, and only another head is taken.
  Result<void> restore_region(std::size_t region, std::span<const std::byte> bytes);
  Result<void> end_restore();

  const Torus& torus() const;
  std::uint64_t violations_total() const;
  std::uint64_t progress() const;  // any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rse
