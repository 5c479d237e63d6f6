// Sorts the events of one tick into canonical order, in one piece or, when there are many, region
// by region, so that each piece is still in the first-level cache when it is processed. Size: any
// count. Threads: none. Memory: two buffers of the caller's, each as large as the input, and 34 kB of stack. Errors:
// none. Invariant: ascending, whatever the input; time is bounded by n log n for any input.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "torus/engine/packed_event.h"

namespace rse {

inline constexpr std::uint32_t kSpreadRegions = kCellCount >> kRegionCellBits;

/// What tells most events of one cell apart.
enum class Ties : std::uint8_t { kBySource, kByPayload };

/// From so many events on a tick is spread over its regions first. Two passes that leave little to be moved stay quick as long
/// as both buffers are in a second-level cache; one that leaves much wants its pieces in the first-level cache.
constexpr std::uint32_t spread_count_min(Ties ties) { return ties == Ties::kByPayload ? 16'384 : 6'000; }

/// Which bits are not the same in all events of a set.
class VaryingBits {
 public:
  VaryingBits() = default;
  VaryingBits(const PackedEvent* events, std::uint32_t count) {
#pragma GCC unroll 4
    for (std::uint32_t i = 0; i < count; ++i) add(events[i]);
  }
  void add(PackedEvent event) {
    any_ |= event;
    all_ &= event;
  }
  /// Adds `count` events, and copies them.
  void add_copied(const PackedEvent* events, std::uint32_t count, PackedEvent* to) {
    using Two [[gnu::vector_size(16)]] = PackedEvent;
    Two any = {};
    Two all = ~any;
    std::uint32_t i = 0;
#pragma GCC unroll 4
    for (; i + 2 <= count; i += 2) {
      Two two;
      std::memcpy(&two, events + i, sizeof(two));
      std::memcpy(to + i, &two, sizeof(two));
      any |= two;
      all &= two;
    }
    any_ |= any[0] | any[1];
    all_ &= all[0] & all[1];
    if (i < count) add(to[i] = events[i]);
  }
  std::uint64_t bits() const { return any_ & ~all_; }

 private:
  std::uint64_t any_ = 0;
  std::uint64_t all_ = ~std::uint64_t{0};
};

/// Sorts `count` events, which differ in the bits `varying`; the result is in `events` or in `scratch`, whichever is
/// returned.
PackedEvent* sort_events(PackedEvent* events, PackedEvent* scratch, std::uint32_t count, std::uint64_t varying, Ties ties);

/// Calls `process(sorted, count)` with the events that `visit_runs` gives, in ascending order over
/// all calls. `visit_runs(visit)` calls `visit(events, count)` for each run of the input; `taken()`
/// says that it may be reused, and comes before the first `process`.
template <class VisitRuns, class Taken, class Process>
void sort_tick(std::uint32_t count, Ties ties, PackedEvent* buffer, PackedEvent* scratch, VisitRuns visit_runs,
               Taken taken, Process process) {
  if (count < spread_count_min(ties)) {
    PackedEvent* out = buffer;
    VaryingBits varying;
    visit_runs([&](const PackedEvent* events, std::uint32_t in_run) {
      varying.add_copied(events, in_run, out);
      out += in_run;
    });
    taken();
    process(static_cast<const PackedEvent*>(sort_events(buffer, scratch, count, varying.bits(), ties)), count);
    return;
  }
  constexpr unsigned kShift = kPackedDestinationShift + kRegionCellBits;
  std::array<std::uint32_t, kSpreadRegions + 1> next{};
  visit_runs([&](const PackedEvent* events, std::uint32_t in_run) {
    for (std::uint32_t i = 0; i < in_run; ++i) ++next[(events[i] >> kShift) + 1];
  });
  for (std::uint32_t i = 1; i < next.size(); ++i) next[i] += next[i - 1];
  const auto starts = next;
  visit_runs([&](const PackedEvent* events, std::uint32_t in_run) {
    for (std::uint32_t i = 0; i < in_run; ++i) buffer[next[events[i] >> kShift]++] = events[i];
  });
  taken();
  for (std::uint32_t region = 0; region < kSpreadRegions; ++region) {
    const std::uint32_t in_region = starts[region + 1] - starts[region];
    if (in_region == 0) continue;
    PackedEvent* const events = buffer + starts[region];
    const std::uint64_t varying = VaryingBits(events, in_region).bits();
    process(static_cast<const PackedEvent*>(sort_events(events, scratch, in_region, varying, ties)), in_region);
  }
}

}  // namespace rse
