// An event as the pending set holds it: 8 bytes that sort in canonical order within one tick; the
// time is implied by where it lies. Layout, from the top: 15 bits destination (index in the torus),
// 17 bits source (global cell), 32 bits payload biased by 2^31 so that unsigned order is signed
// order. Threads, memory, errors: none. Invariant: unpack(pack(e)) == e for every valid event.
#pragma once

#include <cstdint>

#include "torus/base/strong.h"
#include "torus/engine/event.h"

namespace rse {

using PackedEvent = std::uint64_t;

inline constexpr std::uint32_t kPayloadBias = 0x80000000u;
inline constexpr unsigned kPackedDestinationShift = 49;
inline constexpr unsigned kPackedSourceShift = 32;
inline constexpr std::uint32_t kGlobalCellCount = kCellCount * kTorusCount;
inline constexpr std::uint32_t kPackedSourceMask = (1u << 17) - 1;
inline constexpr unsigned kRegionCellBits = 8;  // a region is 256 cells; torus.h: kRegionCells
static_assert(kGlobalCellCount <= kPackedSourceMask + 1 && kCellCount == 1u << 15);

constexpr PackedEvent pack(std::uint32_t dst_index, std::uint32_t src, std::int32_t payload) {
  return (std::uint64_t{dst_index} << kPackedDestinationShift) |
         (std::uint64_t{src} << kPackedSourceShift) |
         (static_cast<std::uint32_t>(payload) ^ kPayloadBias);
}
constexpr std::uint32_t packed_destination(PackedEvent event) {
  return static_cast<std::uint32_t>(event >> kPackedDestinationShift);
}
constexpr std::uint32_t packed_source(PackedEvent event) {
  return static_cast<std::uint32_t>(event >> kPackedSourceShift) & kPackedSourceMask;
}
constexpr std::int32_t packed_payload(PackedEvent event) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(event) ^ kPayloadBias);
}
/// The event that `event` makes along an edge from `source`: payload + 1, in two's complement.
constexpr PackedEvent next_event(std::uint32_t target, std::uint32_t source, PackedEvent event) {
  return (std::uint64_t{target} << kPackedDestinationShift) |
         (std::uint64_t{source} << kPackedSourceShift) | (static_cast<std::uint32_t>(event) + 1);
}
constexpr Event unpack(PackedEvent event, Tick time, TorusId torus) {
  return {time, CellId{torus.raw * kCellCount + packed_destination(event)},
          CellId{packed_source(event)}, packed_payload(event)};
}

}  // namespace rse
