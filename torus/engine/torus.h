// One torus: 32x32x32 cells that exchange events in logical time, exactly as DESIGN 2.1 says. Knows nothing of
// epochs' meaning, of other nodes or of wall-clock time.
// Size: fixed at construction (Capacity); nothing grows afterwards. Threads: one at a time; progress() from any.
// Errors: a full pool refuses, counts and returns; nothing throws. Invariant: the same calls give the same bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/result.h"
#include "torus/base/strong.h"
#include "torus/engine/event.h"
#include "torus/engine/program.h"

namespace rse {

/// Sizes of the pools, counts. The defaults fit in 150 MB a torus (DESIGN 2.2). Pages are touched on first use only.
struct Capacity {
  std::uint32_t events = 1u << 20;         // pending at the same time
  std::uint32_t edges = 1u << 20;
  std::uint32_t processes = 32768;
  std::uint32_t outbox_events = 1u << 18;  // to one other torus, in one epoch
  friend bool operator==(const Capacity&, const Capacity&) = default;
};

/// Totals since the scenario was loaded, except where it says otherwise.
struct TorusCounters {
  std::uint64_t events = 0;       // processed, corrective ones included
  std::uint64_t corrective = 0;
  std::uint64_t refused = 0;      // events, edges and processes that a full pool or a bound refused
  std::array<std::uint64_t, kTorusCount> sent{};      // to each other torus
  std::array<std::uint64_t, kTorusCount> received{};  // from each other torus, delivered or refused
  std::uint64_t processes_born = 0;
  std::uint64_t processes_ended = 0;
  std::uint64_t outputs = 0;
  friend bool operator==(const TorusCounters&, const TorusCounters&) = default;
};

struct ProcessInfo {
  Pid pid;
  CellId cell;
  std::string_view program;
  std::int64_t value;
};

struct Output {
  std::uint64_t number;  // 0, 1, 2, ... in this torus
  Tick time;
  CellId cell;
  std::int64_t value;
};
inline constexpr std::size_t kOutputsMax = 1024;

inline constexpr std::uint32_t kLooksMax = 64;
inline constexpr std::size_t kRegionCells = 256;
inline constexpr std::size_t kCellRegionCount = kCellCount / kRegionCells;  // 128

class Torus {
 public:
  Torus(TorusId id, const Capacity& capacity);
  ~Torus();
  Torus(const Torus&) = delete;
  Torus& operator=(const Torus&) = delete;

  /// Back to the empty torus `id`; pools are reused, no memory is given back or taken.
  void reset(TorusId id);
  TorusId id() const;

  // --- Building: before the first epoch, from programs, or from injections at a boundary. ---
  /// An entry without max_payload (nullopt) changes nothing; 0 is a limit.
  void set_relay(CellId cell, std::optional<std::int32_t> max_payload);
  /// `delay` in 1..2^32-1. An edge that exists gets the delay and keeps its place. kEdgesFull is counted.
  Result<void> connect(CellId from, CellId to, std::uint64_t delay);
  /// pid = (torus << 62) + a count from 1; born and refused are counted.
  Result<Pid> spawn(CellId at, std::string_view program, std::string_view args, Tick now);
  /// An event of the scenario, with its own time.
  Result<void> insert(const Event& event);

  // --- One epoch: begin, deliver, run. ---
  /// Clears the per-epoch counts and outboxes. `start` is the end of the epoch before (or later, after a leap).
  void begin_epoch(Tick start, Tick end);
  /// Delivers an event from another torus or an injection: time becomes max(time, start). A full queue refuses and
  /// counts. `source` decides which `received` counter moves; an injection passes nullopt.
  void deliver(const Event& event, std::optional<TorusId> source);
  /// A corrective event at `start` (DESIGN 2.3): processed before every other event of that tick.
  void deliver_corrective(CellId dst, CellId src, std::int32_t payload);
  /// Processes every event with time < end, in canonical order.
  void run_epoch();

  // --- After run_epoch(), until the next begin_epoch(). ---
  /// Events sent to `peer` in this epoch, in the order of sending.
  std::span<const Event> outbox(TorusId peer) const;
  /// Events processed in this epoch by the cells of a face, saturating; index y*32 + z.
  std::span<const std::uint32_t, kFaceCellCount> low_face_counts() const;   // x = 0
  std::span<const std::uint32_t, kFaceCellCount> high_face_counts() const;  // x = 31
  std::uint64_t epoch_events() const;

  const TorusCounters& counters() const;
  std::uint64_t event_digest() const;
  std::uint64_t pending_count() const;
  std::uint64_t edge_count() const;
  std::uint64_t process_count() const;
  /// Time of the earliest pending event.
  std::optional<Tick> next_event_time() const;
  /// Calls `visit` for each process in pid order. At a boundary only.
  void visit_processes(void (*visit)(void* context, const ProcessInfo&), void* context) const;
  /// For people: the next run_epoch() stops at up to kLooksMax moments and adds each event that waits then to the count of its
  /// cell, which shows where the torus is busy. Costs some tens of microseconds and changes no result. `counts` has kCellCount
  /// numbers and has to stay until that epoch, or the torus, has ended. At a boundary only.
  void watch(std::uint32_t* counts) const;
  /// The outputs still in the ring, oldest first.
  std::vector<Output> outputs() const;
  /// Bytes of arena reserved, whether touched or not.
  std::size_t bytes_reserved() const;
  /// Ticks passed inside the running epoch; readable from any thread.
  std::uint64_t progress() const;

  // --- Canonical checkpoint by regions (torus/engine/checkpoint.md), at a boundary only. ---
  // Region r in 0..127 holds cells 256 r .. 256 r + 255: relay limits, edges in creation order, processes with state
  // and random source, pending events of these cells in canonical order. The head holds capacity, counters, H, outputs
  // and the next pid. Independent of heap, pools and history.
  void write_region(std::size_t region, Bytes& out) const;
  void write_head(Bytes& out) const;
  /// Whether the region may have changed since clear_changed(); never false for one that has.
  bool region_changed(std::size_t region) const;
  void clear_changed();
  /// Into a torus just reset() to the same id: read_head() first, then each region once. On any error the torus is
  /// unusable until reset(). Every byte is checked: hostile input cannot crash or allocate beyond the capacity.
  Result<void> read_head(std::span<const std::byte> bytes);
  Result<void> read_region(std::size_t region, std::span<const std::byte> bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rse
