// Regions of a cut in memory, and their pieces on the way to another node.
// Size: a region has at most kRegionBytesMax; a piece kPartBytes. Threads: none; regions are shared and do not change.
// Memory: a builder holds what has arrived, never what was only announced. Errors: returned.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "torus/base/result.h"
#include "torus/base/shared_bytes.h"
#include "torus/braid/torus_machine.h"

namespace rse {

/// Regions and scenarios travel in parts of about this size, so that a heartbeat never waits behind megabytes.
inline constexpr std::size_t kPartBytes = 256u << 10;

struct Region {
  std::uint8_t index = 0;  // 0..128
  Bytes bytes;
};
using RegionPtr = std::shared_ptr<const Region>;

/// Bytes [offset, offset + bytes.size()) of a region of `total` bytes. Not empty unless the region is.
struct RegionPiece {
  std::uint8_t index = 0;
  std::uint32_t total = 0;
  std::uint32_t offset = 0;
  SharedBytes bytes;
};

/// Which of a torus's regions a node holds: bit 0 the even ones, bit 1 the odd ones.
using Halves = std::uint8_t;
inline constexpr Halves kBothHalves = 3;
constexpr Halves half_of_region(std::size_t region) { return region % 2 == 0 ? 1 : 2; }

/// All regions of a torus at a cut, or those of a shard; unchanged ones are shared with the cut before.
struct CutRegions {
  RegionDigests digests;
  Halves halves = 0;
  ViewNumber resumed;  // the newest resumption when it was taken
  std::array<RegionPtr, kRegionCount> regions{};
};

/// Cuts regions into messages of about kPartBytes, without copying: one region may need many, one message may hold many.
class RegionSender {
 public:
  explicit RegionSender(std::vector<RegionPtr> regions) : regions_(std::move(regions)) {}
  bool done() const { return next_ == regions_.size(); }
  /// Pieces for the next message; empty when done().
  std::vector<RegionPiece> next();

 private:
  std::vector<RegionPtr> regions_;
  std::size_t next_ = 0;
  std::size_t offset_ = 0;
};

/// Puts regions together from pieces that arrive in the order in which they were sent.
class RegionBuilder {
 public:
  /// The region that this piece completes, or null: more of it is to come. kMalformed: not the piece that follows;
  /// kTooLarge: of a region that nobody can have.
  Result<RegionPtr> add(const RegionPiece& piece);

 private:
  std::uint32_t total_ = 0;
  std::shared_ptr<Region> building_;
};

}  // namespace rse
