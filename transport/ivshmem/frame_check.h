// What producer and consumer have to agree on about a frame.
// Threads: any. Memory: none. Errors: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "transport/ivshmem/checked_copy.h"
#include "transport/ivshmem/layout.h"

namespace rse {

/// Eight frames and their paddings fit a ring: producer and consumer work on it at the same time.
constexpr std::size_t frame_payload_max(std::uint32_t ring_bytes) {
  return std::min<std::size_t>(kFramePayloadBytesMax, ring_bytes / 8 - sizeof(RingFrame));
}
/// With header, up to where the next frame begins.
constexpr std::size_t frame_bytes(std::size_t payload_bytes) {
  return (sizeof(RingFrame) + payload_bytes + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
}
/// Of the payload's sum: a frame of another session, place or size has another one.
constexpr std::uint64_t frame_seed(const RingFrame& frame, std::uint64_t generation) {
  std::uint64_t sum = mix(generation, frame.sequence);
  sum = mix(sum, (std::uint64_t{frame.magic} << 32) | frame.size);
  return mix(sum, (std::uint64_t{frame.message_size} << 32) | frame.offset);
}

}  // namespace rse
