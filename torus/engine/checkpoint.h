// The canonical bytes of a torus at an epoch boundary, by regions and a head:
// torus/engine/checkpoint.md. Size: proportional to what is in the region. Threads: the torus's.
// Memory: the caller's bytes; a snapshot lies in the torus's arena. Errors: every byte read is
// checked; bad ones are returned and leave the engine to be reset. Invariant: bytes that decode
// encode to themselves; the order of pools and lists does not show.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "torus/base/bytes.h"
#include "torus/base/result.h"
#include "torus/engine/engine.h"

namespace rse {

/// The pending events by region, so that writing 128 regions walks the pending set once.
class PendingSnapshot {
 public:
  /// Of `engine` as it is; costs nothing while the one taken before has not been discarded.
  void take(Engine& engine);
  void discard() { taken_ = false; }
  /// The events of a region in canonical order.
  std::span<const TimedEvent> region(std::size_t region) const;

 private:
  TimedEvent* events_ = nullptr;
  std::array<std::uint32_t, kCellRegionCount + 1> starts_{};
  mutable std::array<bool, kCellRegionCount> sorted_{};
  bool taken_ = false;
};

void encode_region(Engine& engine, const PendingSnapshot& snapshot, std::size_t region, Bytes& out);
void encode_head(const Engine& engine, Bytes& out);
Result<void> decode_region(Engine& engine, std::size_t region, std::span<const std::byte> bytes);
Result<void> decode_head(Engine& engine, std::span<const std::byte> bytes);

}  // namespace rse
