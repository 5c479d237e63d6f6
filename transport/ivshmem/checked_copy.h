// Copies bytes and sums them: of source and copy the one that no other process can write meanwhile. Between two cores the copy is bound
// by the cache lines on their way; the sum finds them in the first-level cache.
// Summed are the blocks of 64 bytes and, where these do not end with it, the range's last 64 bytes; less than that is summed as if
// zeros followed, and the size is mixed in.
// The sum is two 64-bit sums in each of eight lanes, one plain and one of its running values (after Fletcher, 1982), folded by
// 128-bit products. It finds torn and damaged frames: what differs has the same sum with about 2^-64. It is no defence
// against somebody who wants to forge one; whoever maps the memory could do so anyway.
// Threads: any. Memory: the caller's. Uses 16-byte vectors (SSE2), or wider ones where the processor has them; words in the guest kernel.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rse {

/// What is summed: the one of the two ranges that nobody else can write meanwhile.
enum class SumOf : std::uint8_t { kSource, kCopy };

/// Copies `size` bytes and returns their sum, which starts from `seed`. The ranges do not overlap.
std::uint64_t checked_copy(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t seed, SumOf what);

/// Mixes one more word into a sum.
constexpr std::uint64_t mix(std::uint64_t sum, std::uint64_t word) {
  sum = (sum ^ word) * 0x9E3779B97F4A7C15;
  return sum ^ (sum >> 29);
}

}  // namespace rse
