// What one event makes a cell with one edge do, for the loops over the events of a tick in which neither room nor time can
// run out.
// Threads, memory, errors: none. Invariant: no branch depends on a payload, a delay or on which cells are met, as no processor
// foresees those: a branch that goes wrong costs as much as a third of an event.
#pragma once

#include <cstdint>
#include <cstring>

#include "torus/engine/engine.h"

namespace rse {

/// `kMarks`: whether it says which regions have changed, which only matters until all have.
template <bool kMarks>
class RelayStep {
 public:
  explicit RelayStep(Engine& engine)
      : cells_(engine.lattice.cells()), marks_(engine.changed.data()), first_(engine.first_cell) {}

  /// False, and nothing is done, unless the event's cell has one edge, to a cell of this torus, and nothing else.
  [[gnu::always_inline]] bool take(PackedEvent event, PendingSet::Appender& out) const {
    const std::uint32_t index = packed_destination(event);
    const std::uint64_t cell = cells_[index].joined();
    const std::uint32_t target = static_cast<std::uint32_t>(cell) - first_;
    if (target >= kCellCount || cell < kOneTick) [[unlikely]] return false;
    // 1, or -1 where it gets longer. A compiler makes a branch of "? :" here; of this it makes a borrow.
    const std::uint64_t shorter = -std::uint64_t{static_cast<std::uint32_t>(event) <= kPayloadBias} * 2 + 1;
    const std::uint64_t changed = cell - shorter * kOneTick;
    const std::uint64_t next = changed < kOneTick ? cell : changed;  // as adapted_delay() says
    std::memcpy(&cells_[index], &next, sizeof(next));
    __builtin_prefetch(&cells_[target]);
    if constexpr (kMarks) {
      marks_[index >> kRegionCellBits] = 1;
      marks_[target >> kRegionCellBits] = 1;
    }
    out.insert(next >> 32, next_event(target, first_ + index, event));
    return true;
  }

 private:
  static constexpr std::uint64_t kOneTick = Cell::joined_edge(0, 1);

  Cell* const cells_;
  std::uint8_t* const marks_;
  const std::uint32_t first_;
};

}  // namespace rse
