#include "torus/engine/key_sort.h"

#include <algorithm>
#include <cstring>

namespace rse {
namespace {

constexpr unsigned kLowShift = kPackedDestinationShift;  // 8 bits: cell of a region
constexpr unsigned kHighShift = kPackedDestinationShift + kRegionCellBits;  // 7 bits: region
constexpr std::uint32_t kLowBuckets = 1u << kRegionCellBits;
constexpr std::uint32_t kHighBuckets = kSpreadRegions;

void insertion_sort(PackedEvent* events, std::uint32_t count) {
  for (std::uint32_t i = 1; i < count; ++i) {
    const PackedEvent event = events[i];
    std::uint32_t at = i;
    for (; at > 0 && events[at - 1] > event; --at) events[at] = events[at - 1];
    events[at] = event;
  }
}

void counts_to_starts(std::uint32_t* counts, std::uint32_t buckets) {
  std::uint32_t start = 0;
  for (std::uint32_t i = 0; i < buckets; ++i) {
    const std::uint32_t count = counts[i];
    counts[i] = start;
    start += count;
  }
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
  std::uint32_t low[kLowBuckets] = {};
  std::uint32_t high[kHighBuckets] = {};
  for (std::uint32_t i = 0; i < count; ++i) {
    ++low[(events[i] >> kLowShift) & (kLowBuckets - 1)];
    ++high[events[i] >> kHighShift];
  }
  counts_to_starts(low, kLowBuckets);
  counts_to_starts(high, kHighBuckets);
  for (std::uint32_t i = 0; i < count; ++i) {
    scratch[low[(events[i] >> kLowShift) & (kLowBuckets - 1)]++] = events[i];
  }
  for (std::uint32_t i = 0; i < count; ++i) events[high[scratch[i] >> kHighShift]++] = scratch[i];
  sort_within_destinations(events, count);
  return events;
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
