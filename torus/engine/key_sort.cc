#include "torus/engine/key_sort.h"

#include <algorithm>
#include <bit>

#include "torus/engine/rank_sort.h"

namespace rse {
namespace {

constexpr std::uint32_t kMoveMax = 24;
constexpr unsigned kHighBitsMin = 5;
constexpr unsigned kHighBitsMax = 12;
constexpr unsigned kLowBits = 8;

// The highest bits of those that vary.
struct Digit {
  unsigned shift;
  std::uint32_t mask;
  std::uint32_t* next;  // how many events have each value, then where the next one of them goes

  Digit(std::uint64_t varying, unsigned bits, std::uint32_t* counters) : mask((1u << bits) - 1), next(counters) {
    const auto highest = static_cast<unsigned>(std::bit_width(varying));
    shift = highest > bits ? highest - bits : 0;
    std::fill_n(next, mask + 1, 0u);
  }
  void count(PackedEvent event) { ++next[of(event)]; }
  void place() {
    std::uint32_t start = 0;
#pragma GCC unroll 8
    for (std::uint32_t value = 0; value <= mask; ++value) {
      const std::uint32_t size = next[value];
      next[value] = start;
      start += size;
    }
  }
  void spread(const PackedEvent* events, std::uint32_t count, PackedEvent* to) {
#pragma GCC unroll 4
    for (std::uint32_t i = 0; i < count; ++i) {
      const PackedEvent event = events[i];
      to[next[of(event)]++] = event;
    }
  }

 private:
  std::uint32_t of(PackedEvent event) const { return static_cast<std::uint32_t>(event >> shift) & mask; }
};

// Sorts events that are in order but for the bits below `shift`. Most need no move or a short one; where many have the
// same higher bits and one of them has far to go, those are sorted as such, so that no input is quadratic.
void sort_within(PackedEvent* events, PackedEvent* scratch, std::uint32_t count, unsigned shift) {
  for (std::uint32_t i = 1; i < count; ++i) {
    const PackedEvent event = events[i];
    if (events[i - 1] <= event) continue;
    const std::uint32_t farthest = i > kMoveMax ? i - kMoveMax : 0;
    std::uint32_t at = i;
    do {
      events[at] = events[at - 1];
      --at;
    } while (at > farthest && events[at - 1] > event);
    events[at] = event;
    if (at == 0 || at > farthest || events[at - 1] <= event) continue;
    std::uint32_t end = i + 1;
    while (at > 0 && (events[at - 1] ^ event) >> shift == 0) --at;
    while (end < count && (events[end] ^ event) >> shift == 0) ++end;
    const std::uint64_t varying = VaryingBits(events + at, end - at).bits();
    const PackedEvent* const sorted = sort_events(events + at, scratch, end - at, varying, Ties::kBySource);
    if (sorted != events + at) std::copy_n(sorted, end - at, events + at);
    i = end - 1;
  }
}

}  // namespace

// One pass by the highest bits in which the events differ, about as many as tell their cells apart, does most of the work,
// wherever in the torus they are. Where many events of a cell come from one source, a pass by their payloads before it
// leaves little to be moved, so few moves whose ends the processor cannot foresee.
PackedEvent* sort_events(PackedEvent* events, PackedEvent* scratch, std::uint32_t count, std::uint64_t varying, Ties ties) {
  if (count <= rank_count_max()) {
    rank_sort(events, count, scratch);
    return scratch;
  }
  if (varying == 0) return events;  // all are equal
  const auto count_bits = static_cast<unsigned>(std::bit_width(count));
  const bool by_payload = ties == Ties::kByPayload;
  std::uint32_t counters[1u << kHighBitsMax];  // with the events of a tick they fit in the first-level cache
  Digit high(varying, std::clamp(count_bits - !by_payload, kHighBitsMin, kHighBitsMax), counters);
  if (!by_payload || high.shift < kPackedSourceShift) {
    for (std::uint32_t i = 0; i < count; ++i) high.count(events[i]);
    high.place();
    high.spread(events, count, scratch);
    sort_within(scratch, events, count, high.shift);
    return scratch;
  }
  std::uint32_t low_counters[1u << kLowBits];
  Digit low(static_cast<std::uint32_t>(varying), kLowBits, low_counters);
#pragma GCC unroll 4
  for (std::uint32_t i = 0; i < count; ++i) {
    const PackedEvent event = events[i];
    high.count(event);
    low.count(event);
  }
  high.place();
  low.place();
  low.spread(events, count, scratch);
  high.spread(scratch, count, events);
  sort_within(events, scratch, count, high.shift);
  return events;
}

}  // namespace rse
