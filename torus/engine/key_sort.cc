#include "torus/engine/key_sort.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace rse {
namespace {

constexpr unsigned kDigitBitsMin = 5;
constexpr unsigned kDigitBitsMax = 11;  // 8 kB of counters: with the events of a tick they fit in the first-level cache

std::uint64_t varying_bits(const PackedEvent* events, std::uint32_t count) {
  std::uint64_t any = 0;
  std::uint64_t all = ~std::uint64_t{0};
  for (std::uint32_t i = 0; i < count; ++i) {
    any |= events[i];
    all &= events[i];
  }
  return any ^ all;
}

// Spreads the events, which have no bits above the digit in common with less than all others, into `to` by one digit.
void spread(const PackedEvent* events, std::uint32_t count, unsigned shift, unsigned bits, PackedEvent* to) {
  std::uint32_t next[1u << kDigitBitsMax];
  const std::uint32_t mask = (1u << bits) - 1;
  std::fill_n(next, mask + 1, 0u);
  for (std::uint32_t i = 0; i < count; ++i) ++next[(events[i] >> shift) & mask];
  std::uint32_t start = 0;
  for (std::uint32_t digit = 0; digit <= mask; ++digit) start += std::exchange(next[digit], start);
  for (std::uint32_t i = 0; i < count; ++i) to[next[(events[i] >> shift) & mask]++] = events[i];
}

// Sorts events that are in order but for the bits below `shift`. Most need no move or a short one; where many have the
// same higher bits and one of them has far to go, those are sorted as such, so that no input is quadratic.
void sort_within(PackedEvent* events, PackedEvent* scratch, std::uint32_t count, unsigned shift) {
  for (std::uint32_t i = 1; i < count; ++i) {
    const PackedEvent event = events[i];
    if (events[i - 1] <= event) continue;
    const std::uint32_t farthest = i > kInsertionCountMax ? i - kInsertionCountMax : 0;
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
    const PackedEvent* const sorted = sort_events(events + at, scratch, end - at);
    if (sorted != events + at) std::copy_n(sorted, end - at, events + at);
    i = end - 1;
  }
}

}  // namespace

// One pass by the highest bits in which the events differ, about as many as tell them apart, does most of the work,
// wherever in the torus they are: 6,000 events that all differ in place need one digit of 11 bits and some short moves.
PackedEvent* sort_events(PackedEvent* events, PackedEvent* scratch, std::uint32_t count) {
  if (count <= kInsertionCountMax) {
    insertion_sort(events, count);
    return events;
  }
  const auto highest = static_cast<unsigned>(std::bit_width(varying_bits(events, count)));
  if (highest == 0) return events;  // all are equal
  const auto bits = std::clamp(static_cast<unsigned>(std::bit_width(count)) - 1, kDigitBitsMin, kDigitBitsMax);
  const unsigned shift = highest > bits ? highest - bits : 0;
  spread(events, count, shift, bits, scratch);
  sort_within(scratch, events, count, shift);
  return scratch;
}

}  // namespace rse
