// What a TorusMachine is made of, shared by torus_machine.cc (running) and machine_checkpoint.cc (bytes). Nobody else
// includes this. Everything but `torus` and the transient part at the end is in the head of a checkpoint.
#pragma once

#include <bitset>

#include "torus/braid/client_table.h"
#include "torus/braid/coupling.h"
#include "torus/braid/cut_rule.h"
#include "torus/braid/epochs.h"
#include "torus/braid/torus_machine.h"

namespace rse {

//  kEmpty --load, or head--> kRestoring --all regions--> kReady --run_epoch--> kAwaitingSeal --seal--> kReady
//     ^------------------ error ----------------------------'
enum class MachinePhase : std::uint8_t { kEmpty, kRestoring, kReady, kAwaitingSeal };

enum class Coupling : std::uint8_t { kOff = 0, kOn = 1 };

/// What the torus keeps of an epoch that it ran, until its neighbours' packets of that epoch are applied.
struct OwnEpoch {
  Packet packet;
  ConstraintCounts counts{};  // of the x=31 face
};

struct TorusMachine::Impl {
  Impl(TorusId torus_id, const Capacity& capacity) : torus(torus_id, capacity) {}

  void clear();
  Result<void> take_scenario(const Scenario& scenario);
  const OwnEpoch* own(Epoch epoch) const;
  const OwnEpoch* newest() const { return own_count == 0 ? nullptr : &own_epochs[newest_index]; }
  /// Inside a leap that a limit made this machine step through: nothing happens in this epoch.
  bool stepping() const { return newest() != nullptr && epochs.next < newest()->packet.next_epoch; }
  /// False once ticks have run out: such an epoch is empty, its inputs are not applied, the engine rests.
  bool has_ticks() const { return epochs.start < kLastTick; }
  void apply_inputs(const Packet& from_next, const Packet& from_previous, const OwnEpoch& mine);
  void deliver_batch(const Packet& packet);
  void deliver_injection(const Injection& injection, Tick start);
  void decide_leap(const Projections& projections);
  Projection project() const;
  std::vector<Event> batch_to(TorusId peer) const;
  bool is_quiet(const Packet& packet) const;
  void write_machine_head(Bytes& out) const;
  Result<void> read_head(std::span<const std::byte> bytes);
  Result<void> read_own_epochs(ByteReader& reader);
  void collect_changes();
  Result<void> read_region(std::size_t region, std::span<const std::byte> bytes);

  Torus torus;
  RunId run;
  Coupling coupling = Coupling::kOff;
  std::uint32_t tolerance = 0;
  Epochs epochs;
  std::uint64_t violations_total = 0;
  std::uint64_t injections_delivered = 0;
  CutRule cut;
  ClientTable clients;
  std::array<OwnEpoch, kLookaheadEpochs> own_epochs;  // the last ones run
  std::size_t own_count = 0;
  std::size_t newest_index = 0;

  // Not part of the state: derived, or gone at the next boundary.
  MachinePhase phase = MachinePhase::kEmpty;
  Epoch leap_limit{~std::uint64_t{0}};
  std::uint64_t cut_epochs_max = kCutEpochsMax;
  std::optional<Epoch> leap_target;  // decided in the epoch that awaits its seal
  bool must_seal_empty = false;
  bool cut_noted = false;
  std::uint64_t violations = 0;  // of the epoch that awaits its seal
  std::string alarm;
  Packet stepped_packet;  // what seal() returns while stepping
  RegionDigests digests;
  std::array<std::size_t, kRegionCount> region_sizes{};  // when last serialised: what to reserve
  // What may have changed since each of the two was last brought up to date.
  std::bitset<kCellRegionCount> changed_since_cut, changed_since_digests;
  std::size_t regions_read = 0;  // while restoring
};

}  // namespace rse
