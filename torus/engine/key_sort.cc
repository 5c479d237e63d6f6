#include "torus/engine/key_sort.h"

#include <algorithm>
#include <cstring>

namespace rse {
namespace {

constexpr std::uint32_t kInsertionCountMax = 32;
constexpr unsigned kLowShift = kPackedDestinationShift;       // low 8 bits of the destination
constexpr unsigned kHighShift = kPackedDestinationShift + 8;  // high 7 bits
constexpr std::uint32_t kLowBuckets = 256;
constexpr std::uint32_t kHighBuckets = 128;

void insertion_sort(PackedEvent* events, std::uint32_t count) {
  for (std::uint32_t i = 1; i < count; ++i) {
    const PackedEvent event = events[i];
    std::uint32_t at = i;
    for (; at > 0 && events[at - 1] > event; --at) events[at] = events[at - 1];
    events[at] = event;
  }
}

void scatter(const PackedEvent* from, PackedEvent* to, std::uint32_t count, std::uint32_t* starts,
             unsigned shift, std::uint32_t mask) {
  for (std::uint32_t i = 0; i < count; ++i) {
    to[starts[(from[i] >> shift) & mask]++] = from[i];
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

// Ordered by destination already; orders each destination's events by source and payload.
void sort_within_destinations(PackedEvent* events, std::uint32_t count) {
  for (std::uint32_t i = 1; i < count; ++i) {
    if (events[i - 1] <= events[i]) continue;
    const std::uint32_t destination = packed_destination(events[i]);
    std::uint32_t begin = i - 1;
    while (begin > 0 && packed_destination(events[begin - 1]) == destination) --begin;
    std::uint32_t end = i + 1;
    while (end < count && packed_destination(events[end]) == destination) ++end;
    if (end - begin <= kInsertionCountMax) {
      insertion_sort(events + begin, end - begin);
    } else {
      std::sort(events + begin, events + end);
    }
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
  scatter(events, scratch, count, low, kLowShift, kLowBuckets - 1);
  scatter(scratch, events, count, high, kHighShift, kHighBuckets - 1);
  sort_within_destinations(events, count);
  return events;
}

}  // namespace rse
