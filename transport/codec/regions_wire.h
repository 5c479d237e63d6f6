// The two messages that carry megabytes, ShardPart and GatherRegions, as valid protobuf that no library has copied: everything
// but the bytes of the regions is libprotobuf's; tags and sizes around those are written and read here.
// Size: at most kRegionCount pieces a message. Threads: any. Memory: what is not region is copied. Errors: returned.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "torus/base/result.h"
#include "torus/braid/messages.h"

namespace rse {

/// Numbers of fields in messages.proto.
inline constexpr std::uint32_t kShardPartField = 12, kGatherRegionsField = 15;  // of Envelope
inline constexpr std::uint32_t kShardPartRegions = 10, kGatherRegionsRegions = 5;

bool carries_regions(const Message& message);
std::vector<SharedBytes> encode_regions(const Envelope& envelope);

/// An envelope taken apart: `rest` without the message, `message` without its regions, and those.
struct RegionsWire {
  std::uint32_t field = 0;  // kShardPartField or kGatherRegionsField
  Bytes rest, message;
  std::vector<RegionPiece> pieces;  // lent
};
/// nullopt: not such a message, or nothing that can be read; libprotobuf may have a look at it. Errors: it is one, but with a
/// piece that nobody may send.
Result<std::optional<RegionsWire>> take_regions_apart(std::span<const std::byte> bytes);

}  // namespace rse
