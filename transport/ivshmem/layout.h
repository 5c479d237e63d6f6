// What lies where in the memory that participants share: header, presence, slots, rings. Spec: transport/ivshmem/ring.md.
// Size: a participant's view of it is two pointers and a few numbers. Threads: any. Memory: the caller's mapping.
// Errors: returned. Invariant: every offset follows from the size of the mapping alone; nothing read from the memory is
// ever used as an offset, an index or a length without a bound that comes from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

namespace rse {

inline constexpr std::uint32_t kParticipantsMax = 8;
inline constexpr std::uint32_t kRingCount = kParticipantsMax * (kParticipantsMax - 1);
/// Two cache lines: processors fetch lines in pairs, and what two cores write must not be one pair.
inline constexpr std::size_t kLineBytes = 128;
inline constexpr std::size_t kFrameAlignment = 64;

inline constexpr std::uint64_t kRegionMagic = 0x676e697220455352;  // "RSE ring"
inline constexpr std::uint32_t kRegionVersion = 2;
inline constexpr std::uint32_t kRingBytesMin = 4096;
inline constexpr std::uint32_t kRingBytesMax = 64u << 20;

struct RegionHeader {           // 64 bytes at 0, little-endian like everything here
  std::uint64_t magic;          // kRegionMagic, written last
  std::uint32_t version;        // kRegionVersion; anything else: another layout, keep away
  std::uint32_t participants;   // kParticipantsMax
  std::uint64_t region_bytes;   // of the whole mapping
  std::uint64_t region_id;      // random, never 0: two memories with one name are told apart
  std::uint32_t ring_bytes;     // of the data of one ring, a power of two
  std::uint32_t presence_offset, slots_offset, rings_offset, data_offset;
  std::uint32_t reserved[3];    // 0
};
static_assert(sizeof(RegionHeader) == 64 && std::has_unique_object_representations_v<RegionHeader>);

/// One word for each participant: bit 0 says that it takes part, the bits above count its lives.
struct Presence {
  std::uint64_t word[kParticipantsMax];
};
static_assert(sizeof(Presence) == 64 && std::has_unique_object_representations_v<Presence>);

enum class BellKind : std::uint32_t {
  kNone = 0,      // it looks by itself from time to time
  kNamedPipe = 1, // a host process: a byte into the pipe beside the memory's file
  kDoorbell = 2,  // a guest: the ivshmem peer whose number is the slot
};

struct SlotRecord {              // 256 bytes for each participant
  std::uint32_t sleeping;        // 1: ring before you rely on being seen; 2: unless it may wait until the sleeper looks
  std::uint32_t reserved1[31];
  std::uint32_t bell;            // BellKind
  std::uint32_t process;         // pid, for people and for pidfd; 0: a guest
  std::uint32_t reserved2[30];
};
static_assert(sizeof(SlotRecord) == 2 * kLineBytes && std::has_unique_object_representations_v<SlotRecord>);

struct RingControl {             // 256 bytes for each ordered pair of participants
  // Written by the producer.
  std::uint64_t generation;      // of the session that the ring carries; kClosedBit set: over
  std::uint64_t start;           // position of the session's first frame
  std::uint64_t tail;            // position behind the last whole frame
  std::uint32_t space_wanted;    // 1: the producer waits for room
  std::uint32_t reserved1[25];
  // Written by the consumer.
  std::uint64_t seen_generation; // the session in which `head` counts
  std::uint64_t head;            // position behind the last frame taken
  std::uint32_t reserved2[28];
};
static_assert(sizeof(RingControl) == 2 * kLineBytes && std::has_unique_object_representations_v<RingControl>);

struct RingFrame {               // 32 bytes, aligned to kFrameAlignment, then the payload
  std::uint32_t magic;           // kRingFrameMagic or kRingPaddingMagic
  std::uint32_t size;            // bytes of payload in this frame
  std::uint32_t message_size;    // bytes of the message of which it is a part
  std::uint32_t offset;          // of the payload in the message
  std::uint64_t sequence;        // +1 a frame, from 0 in each session
  std::uint64_t check;           // checked_copy.h, over the fields above, the generation and the payload
};
static_assert(sizeof(RingFrame) == 32 && std::has_unique_object_representations_v<RingFrame>);

inline constexpr std::uint32_t kRingFrameMagic = 0x4d524652;    // "RFRM"
inline constexpr std::uint32_t kRingPaddingMagic = 0x44415052;  // "RPAD": the rest of the ring up to its end is unused
inline constexpr std::uint64_t kClosedBit = std::uint64_t{1} << 63;
/// The largest message: it may be larger than its ring, then it passes in fragments.
inline constexpr std::uint32_t kRingMessageBytesMax = 16u << 20;
inline constexpr std::uint32_t kFramePayloadBytesMax = 32u << 10;

inline constexpr std::size_t kPresenceOffset = kLineBytes;
inline constexpr std::size_t kSlotsOffset = kPresenceOffset + kLineBytes;
inline constexpr std::size_t kRingsOffset = kSlotsOffset + kParticipantsMax * sizeof(SlotRecord);
inline constexpr std::size_t kDataOffset = 20480;
static_assert(kRingsOffset + kRingCount * sizeof(RingControl) <= kDataOffset && kDataOffset % 4096 == 0);
inline constexpr std::size_t kRegionBytesMin = kDataOffset + kRingCount * std::size_t{kRingBytesMin};

/// The memory as one participant sees it. Copyable; does not own the mapping.
class RingRegion {
 public:
  RingRegion() = default;
  /// nullopt: `memory` is smaller than kRegionBytesMin or not aligned to 4,096. Says nothing about its contents.
  static std::optional<RingRegion> over(std::span<std::byte> memory);

  /// Makes an empty region of zeroed memory. Once in the life of the memory, by whoever creates it.
  void format(std::uint64_t region_id);
  /// Whether the header is that of a region of this version and size. Nobody may touch the rest before it is.
  bool formatted() const;
  std::uint64_t region_id() const;

  std::uint32_t ring_bytes() const { return ring_bytes_; }
  std::uint64_t& presence(std::uint32_t slot) const;
  SlotRecord& slot(std::uint32_t slot) const;
  /// `from` and `to` are different.
  RingControl& ring(std::uint32_t from, std::uint32_t to) const;
  std::byte* ring_data(std::uint32_t from, std::uint32_t to) const;

 private:
  std::span<std::byte> memory_;
  std::uint32_t ring_bytes_ = 0;
};

// Accesses to memory that others write: each reads or writes once.
inline std::uint64_t load_acquire(const std::uint64_t& field) { return __atomic_load_n(&field, __ATOMIC_ACQUIRE); }
inline std::uint64_t load_relaxed(const std::uint64_t& field) { return __atomic_load_n(&field, __ATOMIC_RELAXED); }
inline std::uint32_t load_relaxed(const std::uint32_t& field) { return __atomic_load_n(&field, __ATOMIC_RELAXED); }
inline void store_release(std::uint64_t& field, std::uint64_t value) { __atomic_store_n(&field, value, __ATOMIC_RELEASE); }
inline void store_relaxed(std::uint64_t& field, std::uint64_t value) { __atomic_store_n(&field, value, __ATOMIC_RELAXED); }
inline void store_relaxed(std::uint32_t& field, std::uint32_t value) { __atomic_store_n(&field, value, __ATOMIC_RELAXED); }
inline void full_fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

}  // namespace rse
