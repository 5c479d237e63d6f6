#include "torus/engine/key_sort.h"

#include <algorithm>
#include <utility>

namespace rse {
namespace {

constexpr unsigned kLowShift = kPackedDestinationShift;  // 8 bits: cell of a region
constexpr std::uint32_t kLowBuckets = 1u << kRegionCellBits;
constexpr std::uint32_t kSmallDigitsCountMax =
    160;  // below, clearing and adding up large tables costs more than a pass

// Radix sort by destination in kPasses passes of kBits, least significant digit first; where the
// result lies.
template <unsigned kBits, unsigned kPasses>
PackedEvent* sort_by_destination(PackedEvent* events, PackedEvent* scratch, std::uint32_t count) {
  static_assert(kBits * kPasses >= 15);
  constexpr std::uint32_t kMask = (1u << kBits) - 1;
  std::uint32_t next[kPasses][kMask + 1] = {};
  const auto digit = [](PackedEvent event, unsigned pass) {
    return static_cast<std::uint32_t>(event >> (kPackedDestinationShift + pass * kBits)) & kMask;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
#pragma GCC unroll 3
    for (unsigned pass = 0; pass < kPasses; ++pass) ++next[pass][digit(events[i], pass)];
  }
#pragma GCC unroll 3
  for (unsigned pass = 0; pass < kPasses; ++pass) {
    std::uint32_t start = 0;
    for (std::uint32_t& at : next[pass]) start += std::exchange(at, start);
    for (std::uint32_t i = 0; i < count; ++i) {
      scratch[next[pass][digit(events[i], pass)]++] = events[i];
    }
    std::swap(events, scratch);
  }
  return events;
}

// Ordered by destination already; orders each destination's events by source and payload. Most need
// no move or a short one; a cell with many events is sorted as such, so that no input is quadratic.
void sort_within_destinations(PackedEvent* events, std::uint32_t count) {
  for (std::uint32_t i = 1; i < count; ++i) {
    const PackedEvent event = events[i];
    if (events[i - 1] <= event) continue;
    std::uint32_t begin = i;
    const std::uint32_t farthest = i > kInsertionCountMax ? i - kInsertionCountMax : 0;
    while (begin > farthest && events[begin - 1] > event) --begin;
    if (begin > farthest || farthest == 0) {
      for (std::uint32_t at = i; at > begin; --at) events[at] = events[at - 1];
      events[begin] = event;
      continue;
    }
    const std::uint32_t destination = packed_destination(event);
    while (begin > 0 && packed_destination(events[begin - 1]) == destination) --begin;
    std::uint32_t end = i + 1;
    while (end < count && packed_destination(events[end]) == destination) ++end;
    std::sort(events + begin, events + end);
    i = end - 1;
  }
}

}  // namespace

PackedEvent* sort_events(PackedEvent* events, PackedEvent* scratch, std::uint32_t count) {
  if (count <= kInsertionCountMax) {
    insertion_sort(events, count);
    return events;
  }
  PackedEvent* const sorted = count <= kSmallDigitsCountMax
                                  ? sort_by_destination<5, 3>(events, scratch, count)
                                  : sort_by_destination<8, 2>(events, scratch, count);
  sort_within_destinations(sorted, count);
  return sorted;
}

PackedEvent* sort_region(PackedEvent* events, PackedEvent* scratch, std::uint32_t count) {
  if (count <= kInsertionCountMax) {
    insertion_sort(events, count);
    return events;
  }
  std::uint32_t starts[kLowBuckets] = {};
  for (std::uint32_t i = 0; i < count; ++i) {
    ++starts[(events[i] >> kLowShift) & (kLowBuckets - 1)];
  }
  std::uint32_t start = 0;
  std::uint32_t shared = 0;  // whether any cell has more than one event
  for (std::uint32_t& at : starts) {
    const std::uint32_t in_cell = at;
    shared |= in_cell >> 1;
    at = start;
    start += in_cell;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    scratch[starts[(events[i] >> kLowShift) & (kLowBuckets - 1)]++] = events[i];
  }
  if (shared != 0) sort_within_destinations(scratch, count);
  return scratch;
}

}  // namespace rse
