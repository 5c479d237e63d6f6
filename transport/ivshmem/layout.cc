#include "transport/ivshmem/layout.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "torus/base/assert.h"

namespace rse {
namespace {

std::uint32_t ring_index(std::uint32_t from, std::uint32_t to) {
  RSE_ASSERT(from < kParticipantsMax && to < kParticipantsMax && from != to, "no such ring");
  return from * (kParticipantsMax - 1) + (to < from ? to : to - 1);
}

RegionHeader header_for(std::size_t region_bytes, std::uint32_t ring_bytes, std::uint64_t region_id) {
  RegionHeader header{};
  header.magic = kRegionMagic;
  header.version = kRegionVersion;
  header.participants = kParticipantsMax;
  header.region_bytes = region_bytes;
  header.region_id = region_id;
  header.ring_bytes = ring_bytes;
  header.presence_offset = kPresenceOffset;
  header.slots_offset = kSlotsOffset;
  header.rings_offset = kRingsOffset;
  header.data_offset = kDataOffset;
  return header;
}

}  // namespace

std::optional<RingRegion> RingRegion::over(std::span<std::byte> memory) {
  if (memory.size() < kRegionBytesMin || reinterpret_cast<std::uintptr_t>(memory.data()) % 4096 != 0) return std::nullopt;
  RingRegion region;
  region.memory_ = memory;
  const std::size_t share = std::min<std::size_t>((memory.size() - kDataOffset) / kRingCount, kRingBytesMax);
  region.ring_bytes_ = static_cast<std::uint32_t>(std::bit_floor(share));
  return region;
}

void RingRegion::format(std::uint64_t region_id) {
  RegionHeader header = header_for(memory_.size(), ring_bytes_, region_id);
  header.magic = 0;
  std::memcpy(memory_.data(), &header, sizeof header);
  store_release(*reinterpret_cast<std::uint64_t*>(memory_.data()), kRegionMagic);
}

bool RingRegion::formatted() const {
  if (load_acquire(*reinterpret_cast<const std::uint64_t*>(memory_.data())) != kRegionMagic) return false;
  RegionHeader header;
  std::memcpy(&header, memory_.data(), sizeof header);
  const RegionHeader expected = header_for(memory_.size(), ring_bytes_, header.region_id);
  return header.region_id != 0 && std::memcmp(&header, &expected, sizeof header) == 0;
}

std::uint64_t RingRegion::region_id() const {
  return load_relaxed(reinterpret_cast<const RegionHeader*>(memory_.data())->region_id);
}

std::uint64_t& RingRegion::presence(std::uint32_t slot) const {
  RSE_ASSERT(slot < kParticipantsMax, "no such participant");
  return reinterpret_cast<Presence*>(memory_.data() + kPresenceOffset)->word[slot];
}

SlotRecord& RingRegion::slot(std::uint32_t slot) const {
  RSE_ASSERT(slot < kParticipantsMax, "no such participant");
  return reinterpret_cast<SlotRecord*>(memory_.data() + kSlotsOffset)[slot];
}

RingControl& RingRegion::ring(std::uint32_t from, std::uint32_t to) const {
  return reinterpret_cast<RingControl*>(memory_.data() + kRingsOffset)[ring_index(from, to)];
}

std::byte* RingRegion::ring_data(std::uint32_t from, std::uint32_t to) const {
  return memory_.data() + kDataOffset + std::size_t{ring_index(from, to)} * ring_bytes_;
}

}  // namespace rse
