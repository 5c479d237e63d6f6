#include "torus/engine/rank_sort.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace rse {
namespace {

constexpr std::uint32_t kNarrowCountMax = 24;

// Whether the ranks of `count` events and of so many nones, which come last, are those of events that all differ: equal ones
// have the same rank, so the places after it stay empty.
bool all_differ(std::uint64_t rank_sum, std::uint64_t count, std::uint64_t nones) {
  return rank_sum == count * (count - 1) / 2 + nones * count;
}

void sort_equal(const PackedEvent* events, std::uint32_t count, PackedEvent* to) {
  std::copy_n(events, count, to);
  std::sort(to, to + count);
}

void rank_sort_narrow(const PackedEvent* events, std::uint32_t count, PackedEvent* to) {
  // The event there, or a none, which is larger than any event.
  const auto at = [&](std::uint32_t i) { return events[i] | -PackedEvent{i >= count}; };
  std::uint32_t rank_sum = 0;
  for (std::uint32_t i = 0; i < count; i += 4) {
    const PackedEvent a = at(i);
    const PackedEvent b = at(i + 1);
    const PackedEvent c = at(i + 2);
    const PackedEvent d = at(i + 3);
    std::uint32_t rank_a = 0;
    std::uint32_t rank_b = 0;
    std::uint32_t rank_c = 0;
    std::uint32_t rank_d = 0;
    for (std::uint32_t j = 0; j < count; ++j) {
      const PackedEvent other = events[j];
      rank_a += other < a;
      rank_b += other < b;
      rank_c += other < c;
      rank_d += other < d;
    }
    to[rank_a] = a;
    to[rank_b] = b;
    to[rank_c] = c;
    to[rank_d] = d;
    rank_sum += rank_a + rank_b + rank_c + rank_d;
  }
  if (!all_differ(rank_sum, count, -count % 4)) [[unlikely]] sort_equal(events, count, to);
}

#ifndef RSE_GUEST_KERNEL  // which saves no registers wider than 128 bits

constexpr std::uint32_t kWideCountMin = 17;  // fewer are sorted before the wide way is set up
constexpr std::uint32_t kWideCountMax = 96;
using Lanes [[gnu::vector_size(32)]] = std::int64_t;

__attribute__((target("avx2"))) inline Lanes load(const std::int64_t* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

/// The events as numbers that compare signed as events do unsigned, and nones up to a multiple of 8.
__attribute__((target("avx2"))) void make_keys(const PackedEvent* events, std::uint32_t count, std::int64_t* keys) {
  constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
  for (std::uint32_t i = 0; i < count; ++i) keys[i] = static_cast<std::int64_t>(events[i] ^ PackedEvent{1} << 63);
  for (std::uint32_t i = 0; i < 8; ++i) keys[count + i] = kNone;
}

__attribute__((target("avx2"))) void rank_sort_wide(const PackedEvent* events, std::uint32_t count, PackedEvent* to) {
  std::int64_t keys[kWideCountMax + 8];
  make_keys(events, count, keys);
  std::uint64_t rank_sum = 0;
  for (std::uint32_t i = 0; i < count; i += 8) {
    const Lanes low = load(keys + i);
    const Lanes high = load(keys + i + 4);
    Lanes low_ranks = {};
    Lanes high_ranks = {};
    for (std::uint32_t j = 0; j < count; j += 8) {
#pragma GCC unroll 8
      for (std::uint32_t k = j; k < j + 8; ++k) {
        const Lanes other = Lanes{} + keys[k];
        low_ranks -= low > other;
        high_ranks -= high > other;
      }
    }
#pragma GCC unroll 4
    for (std::uint32_t k = 0; k < 4; ++k) {
      to[low_ranks[k]] = events[i + k];
      to[high_ranks[k]] = events[i + 4 + k];
    }
    const Lanes ranks = low_ranks + high_ranks;
    rank_sum += static_cast<std::uint64_t>(ranks[0] + ranks[1] + ranks[2] + ranks[3]);
  }
  if (!all_differ(rank_sum, count, -count % 8)) [[unlikely]] sort_equal(events, count, to);
}

const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;

#endif

}  // namespace

#ifdef RSE_GUEST_KERNEL

std::uint32_t rank_count_max() { return kNarrowCountMax; }

void rank_sort(const PackedEvent* events, std::uint32_t count, PackedEvent* to) { rank_sort_narrow(events, count, to); }

#else

std::uint32_t rank_count_max() { return has_avx2 ? kWideCountMax : kNarrowCountMax; }

void rank_sort(const PackedEvent* events, std::uint32_t count, PackedEvent* to) {
  if (has_avx2 && count >= kWideCountMin) return rank_sort_wide(events, count, to);
  rank_sort_narrow(events, count, to);
}

#endif

}  // namespace rse
