#include "torus/engine/key_sort.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "torus/engine/rank_sort.h"

namespace rse {
namespace {

constexpr std::uint32_t kMoveMax = 24;
constexpr unsigned kHighBitsMin = 5;
constexpr unsigned kHighBitsMax = 13;
constexpr unsigned kLowBits = 9;

// What a pass spreads by: the highest bits of those that vary.
struct VaryingTop {
  unsigned shift;
  std::uint32_t mask;

  VaryingTop(std::uint64_t varying, unsigned bits) : mask((1u << bits) - 1) {
    const auto highest = static_cast<unsigned>(std::bit_width(varying));
    shift = highest > bits ? highest - bits : 0;
  }
  std::uint32_t values() const { return mask + 1; }
  std::uint32_t of(PackedEvent event) const { return static_cast<std::uint32_t>(event >> shift) & mask; }
};

// The same where the highest bit of the destination varies, and where that of the payload does, its sign: half the instructions.
struct DestinationTop {
  unsigned shift;

  explicit DestinationTop(unsigned bits) : shift(64 - bits) {}
  std::uint32_t values() const { return 1u << (64 - shift); }
  std::uint32_t of(PackedEvent event) const { return static_cast<std::uint32_t>(event >> shift); }
};
struct PayloadTop {
  std::uint32_t values() const { return 1u << kLowBits; }
  std::uint32_t of(PackedEvent event) const { return static_cast<std::uint32_t>(event) >> (32 - kLowBits); }
};

// From how many events have each value to where the first one of them goes; `values` is a multiple of 8.
template <class Place>
void place(Place* next, std::uint32_t values) {
  Place start = 0;
  for (std::uint32_t value = 0; value < values; ++value) {
    const Place size = next[value];
    next[value] = start;
    start = static_cast<Place>(start + size);
  }
}

#ifndef RSE_GUEST_KERNEL  // for which an emulated machine calls a function for each operation on a vector
void place(std::uint16_t* next, std::uint32_t values) {
  using Eight [[gnu::vector_size(16)]] = std::uint16_t;
  Eight before = {};
  for (std::uint32_t value = 0; value < values; value += 8) {
    Eight sizes;
    std::memcpy(&sizes, next + value, sizeof(sizes));
    Eight ends = sizes + __builtin_shufflevector(sizes, Eight{}, 8, 0, 1, 2, 3, 4, 5, 6);
    ends += __builtin_shufflevector(ends, Eight{}, 8, 8, 0, 1, 2, 3, 4, 5);
    ends += __builtin_shufflevector(ends, Eight{}, 8, 8, 8, 8, 0, 1, 2, 3);
    ends += before;
    const Eight starts = ends - sizes;
    std::memcpy(next + value, &starts, sizeof(starts));
    before = __builtin_shufflevector(ends, ends, 7, 7, 7, 7, 7, 7, 7, 7);
  }
}
#endif

template <class Digit, class Place>
void spread(Digit digit, const PackedEvent* events, std::uint32_t count, Place* next, PackedEvent* to) {
#pragma GCC unroll 4
  for (std::uint32_t i = 0; i < count; ++i) {
    const PackedEvent event = events[i];
    to[next[digit.of(event)]++] = event;
  }
}

// From `events` to `scratch`. A `Place` counts to `count`. Not inlined, as sort_within() comes back here: its tables shall not
// stay on the stack.
template <class Place, class Digit>
[[gnu::noinline]] void pass(Digit digit, const PackedEvent* events, PackedEvent* scratch, std::uint32_t count) {
  Place next[1u << kHighBitsMax];
  std::fill_n(next, digit.values(), Place{0});
  for (std::uint32_t i = 0; i < count; ++i) ++next[digit.of(events[i])];
  place(next, digit.values());
  spread(digit, events, count, next, scratch);
}

// From `events` by way of `scratch` to `events`.
template <class Place, class High, class Low>
[[gnu::noinline]] void two_passes(High high, Low low, PackedEvent* events, PackedEvent* scratch, std::uint32_t count) {
  Place high_next[1u << kHighBitsMax];
  Place low_next[1u << kLowBits];
  std::fill_n(high_next, high.values(), Place{0});
  std::fill_n(low_next, low.values(), Place{0});
#pragma GCC unroll 4
  for (std::uint32_t i = 0; i < count; ++i) {
    ++high_next[high.of(events[i])];
    ++low_next[low.of(events[i])];
  }
  place(high_next, high.values());
  place(low_next, low.values());
  spread(low, events, count, low_next, scratch);
  spread(high, scratch, count, high_next, events);
}

// The first event from `at` on that is less than the one before it, or `end`.
const PackedEvent* find_less(const PackedEvent* at, const PackedEvent* end) {
  for (; end - at >= 4; at += 4) {
    if (at[0] < at[-1]) return at;
    if (at[1] < at[0]) return at + 1;
    if (at[2] < at[1]) return at + 2;
    if (at[3] < at[2]) return at + 3;
  }
  while (at != end && at[-1] <= at[0]) ++at;
  return at;
}

// Sorts events that are in order but for the bits below `shift`. Most need no move or a short one; where many have the
// same higher bits and one of them has far to go, those are sorted as such, so that no input is quadratic.
void sort_within(PackedEvent* events, PackedEvent* scratch, std::uint32_t count, unsigned shift) {
  const PackedEvent* const last = events + count;
  for (const PackedEvent* less = find_less(events + 1, last); less != last; less = find_less(less + 1, last)) {
    const PackedEvent event = *less;
    const auto i = static_cast<std::uint32_t>(less - events);
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
    less = events + end - 1;
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
  const unsigned bits = std::clamp(by_payload ? count_bits + 1 : count_bits - 1, kHighBitsMin, kHighBitsMax);
  const VaryingTop high(varying, bits);
  const bool has_short_places = count <= std::numeric_limits<std::uint16_t>::max();
  if (!by_payload || high.shift < kPackedSourceShift) {
    has_short_places ? pass<std::uint16_t>(high, events, scratch, count) : pass<std::uint32_t>(high, events, scratch, count);
    sort_within(scratch, events, count, high.shift);
    return scratch;
  }
  const VaryingTop low(static_cast<std::uint32_t>(varying), kLowBits);
  if (!has_short_places) {
    two_passes<std::uint32_t>(high, low, events, scratch, count);
  } else if ((varying >> 63 & varying >> 31 & 1) == 0) {
    two_passes<std::uint16_t>(high, low, events, scratch, count);
  } else {
    two_passes<std::uint16_t>(DestinationTop(bits), PayloadTop(), events, scratch, count);
  }
  sort_within(events, scratch, count, high.shift);
  return events;
}

}  // namespace rse
