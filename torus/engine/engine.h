// What a Torus is made of, shared by the files that implement it: engine.cc (building, sending),
// run_epoch.cc (the loop), engine_context.cc (what programs may do), checkpoint.cc. Nobody else
// includes this. Size: fixed by the capacity. Threads: one at a time, progress from any. Memory:
// one arena. Errors: refusals are counted in `counters.refused` here, at the one place where each
// can happen. Invariant: what a refusal depends on are counts that a checkpoint restores, never
// chunks or history.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "torus/engine/arena.h"
#include "torus/engine/key_sort.h"
#include "torus/engine/lattice.h"
#include "torus/engine/packed_event.h"
#include "torus/engine/pending_set.h"
#include "torus/engine/process_table.h"
#include "torus/engine/torus.h"

namespace rse {

inline constexpr std::uint32_t kCorrectiveEventsMax =
    kFaceCellCount;  // in one epoch: one for each cell of a face
inline constexpr unsigned kPidTorusShift = 62;
inline constexpr std::uint64_t kPidCountMax = (std::uint64_t{1} << kPidTorusShift) - 1;

struct TimedEvent {
  std::uint64_t time;
  PackedEvent event;
};

/// Cells of a run of events. A loop puts cells of the faces into one without a branch, by counting up only past those: one
/// in sixteen is such, and no processor foresees which.
using RunCells = std::array<std::uint32_t, PendingSet::kEventsInRunMax>;

/// The face_place() of all cells that are on no face, where a loop counts those without a branch; nobody reads it.
inline constexpr std::uint32_t kNoFacePlace = 2 * kFaceCellCount;

/// Up to so many events of a tick of relays, sorting costs less than finding out what need not be sorted.
inline constexpr std::uint32_t kSortedCountMax = 6;

/// A bit for each cell.
using CellSet = std::array<std::uint64_t, kCellCount / 64>;

struct Engine {
  Engine(TorusId torus, const Capacity& capacity);

  void reset(TorusId torus);
  /// Into the pending set if there is room, else counted as refused. `time` is not in the past.
  Result<void> enqueue(std::uint64_t time, std::uint32_t dst_index, std::uint32_t src,
                       std::int32_t payload);
  /// What a relay or a program sends, from a cell of this torus.
  Result<void> send(std::uint64_t now, std::uint32_t from, CellId to, std::uint64_t delay,
                    std::int32_t payload);
  Result<void> connect(std::uint32_t from, CellId to, std::uint64_t delay);
  Result<Pid> spawn(CellId at, std::string_view program, std::string_view args, Tick now);
  void end_process(std::uint32_t handle);
  void output(Tick time, std::uint32_t cell, std::int64_t value);
  Error refuse(Error error) {
    ++counters.refused;
    return error;
  }

  void run_epoch();
  void run_watched();
  void run_to_end();
  void process_correctives();
  void process_tick(std::uint64_t now);
  std::uint32_t relay_few_ticks();
  void relay_tick(std::uint64_t now, std::uint32_t count);
  void relay_sorted(std::uint64_t now, std::uint32_t count);
  void relay_in_order(std::uint64_t now, const PackedEvent* events, std::uint32_t count);
  template <bool kMarks>
  void relay_each(std::uint64_t now, const PackedEvent* events, std::uint32_t count);
  bool all_positive(std::uint64_t now, std::uint32_t count) const;
  std::uint32_t relay_steady(std::uint64_t now, std::uint32_t count);
  template <class VisitRuns>
  std::uint32_t find_shared(VisitRuns visit_runs);
  template <class VisitRuns>
  std::uint32_t relay_alone(std::uint64_t now, VisitRuns visit_runs);
  void phold_tick(std::uint64_t now, std::uint32_t count);
  std::uint32_t run_phold(std::uint64_t now);
  void order_outbox(std::uint8_t peer, std::uint32_t first);
  void process_events(std::uint64_t now, const PackedEvent* events, std::uint32_t count);
  void relay(std::uint64_t now, PackedEvent event);
  void relay_checked(std::uint64_t now, std::uint32_t cell, std::int32_t payload);
  std::uint32_t run_batch(std::uint64_t now, const PackedEvent* events, std::uint32_t count);
  void run_processes(std::uint64_t now, PackedEvent event);
  /// Below 2 * kFaceCellCount for cells with x = 31, then those with x = 0.
  static std::uint32_t face_place(std::uint32_t cell) { return (cell + kFaceCellCount) % kCellCount; }
  static bool is_face(std::uint32_t cell) { return face_place(cell) < 2 * kFaceCellCount; }
  /// Counts events of a cell with x = 0 or 31.
  void count_face(std::uint32_t cell, std::uint32_t events = 1);
  void count_faces(std::span<const std::uint32_t> cells);
  /// The same for the cells of events in canonical order: those of the faces are the first and the last.
  void count_sorted_faces(std::span<const PackedEvent> events);

  /// Where cells have one edge, few are met from several others.
  Ties relay_ties() const { return lattice.degree_max() == 1 ? Ties::kByPayload : Ties::kBySource; }
  bool is_local(std::uint32_t cell) const { return cell - first_cell < kCellCount; }
  /// How many events `count` events make at most, if none starts processes or connects cells, and whether all of them have room.
  std::uint64_t made_by(std::uint64_t count) const {
    return count * std::max<std::uint64_t>({lattice.degree_max(), processes.in_cell_max(), 1});
  }
  bool has_room(std::uint32_t count) const { return pending_count - count + made_by(count) <= limits.events; }
  void mark_changed(std::uint32_t cell_index) { changed[cell_index >> kRegionCellBits] = 1; }

  TorusId id;
  Capacity reserved;             // what the pools hold
  Capacity limits;               // what this run allows: `reserved`, or less after read_head()
  std::uint32_t first_cell = 0;  // global id of cell 0
  Arena arena;
  PendingSet pending;
  Lattice lattice;
  ProcessTable processes;

  // Pools that belong to no part of their own.
  PackedEvent* tick_events = nullptr;  // the tick being processed
  PackedEvent* tick_scratch = nullptr;
  TimedEvent* snapshot_events =
      nullptr;                         // the pending set by region, while a checkpoint is written
  CellSet* met = nullptr;              // by a tick, while it is sorted out which cells meet several events
  CellSet* met_again = nullptr;
  PackedEvent* correctives = nullptr;  // of this epoch's first tick
  std::array<Event*, kTorusCount> outboxes{};  // null for the torus itself
  Output* output_ring = nullptr;               // output n lies at n % kOutputsMax
  std::uint32_t* face_counts = nullptr;        // by face_place()

  std::array<std::uint32_t, kTorusCount> outbox_counts{};
  std::uint32_t pending_count = 0;  // correctives included
  std::uint32_t corrective_count = 0;
  bool in_epoch = false;    // between begin_epoch() and the end of run_epoch()
  std::uint64_t floor = 0;  // no event may be made for an earlier tick
  std::uint64_t epoch_start = 0;
  std::uint64_t epoch_end = 0;
  std::uint32_t* looks = nullptr;  // where watch() wants the next epoch's counts
  std::uint64_t events_before_epoch = 0;
  std::uint32_t sorted_ticks_left = 0;  // relay_tick() sorts them without looking whether it has to
  std::uint64_t positive_tick = PendingSet::kNever;  // relay_steady() has put events with positive payloads there,
  std::uint32_t positive_count = 0;                  // so many
  std::uint64_t tick_sum = 0;  // of the digest terms of the tick being processed
  std::uint64_t digest = 0;
  std::uint64_t next_pid_count = 1;
  TorusCounters counters;
  std::array<std::uint8_t, kCellRegionCount> changed{};
  std::array<std::uint8_t, kCellRegionCount> region_read{};
  std::atomic<std::uint64_t> progress{0};

 private:
  void carve(Carver& carver);
};

/// A counter of events of one cell: stays at its maximum instead of wrapping.
constexpr std::uint32_t saturating_add(std::uint32_t count, std::uint64_t more) {
  const std::uint64_t sum = count + more;
  return sum > 0xFFFFFFFFu ? 0xFFFFFFFFu : static_cast<std::uint32_t>(sum);
}

/// The digest terms of a tick's events, which lie in the pending set of the torus whose cells begin at `first`.
class TickDigestTerms {
 public:
  constexpr TickDigestTerms(std::uint64_t now, std::uint32_t first)
      : time_key_(digest_time_key(Tick{now})), first_(first) {}
  constexpr std::uint64_t of(PackedEvent event) const {
    const std::uint64_t place_key = digest_place_key(CellId{first_ + packed_destination(event)}, CellId{packed_source(event)});
    return digest_term(time_key_, static_cast<std::uint32_t>(packed_payload(event)), place_key);
  }

 private:
  std::uint64_t time_key_;
  std::uint32_t first_;
};

/// `payload` decides which way a delay goes; it stays in 1..2^32-1: a step past either end would give 0.
constexpr std::uint32_t adapted_delay(std::uint32_t delay, std::int32_t payload) {
  const std::uint32_t changed = payload > 0 ? delay - 1 : delay + 1;
  return changed != 0 ? changed : delay;
}

constexpr std::int32_t next_payload(std::int32_t payload) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(payload) + 1);
}

}  // namespace rse
