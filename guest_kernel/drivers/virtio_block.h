// A disk: VIRTIO 1.1, 5.2. One request at a time.
// Size: a bounce buffer of kBlockBytesMax. Threads: one. Memory: DMA memory for good. Errors: sentences; a disk that does not answer
// within kBlockSecondsMax counts as broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest_kernel/drivers/virtio_device.h"

namespace rse::kernel {

inline constexpr std::size_t kSectorBytes = 512;
inline constexpr std::size_t kBlockBytesMax = 64u << 10;

class VirtioBlock {
 public:
  /// The first virtio disk. nullptr, or why there is none.
  const char* start();
  std::uint64_t sector_count() const { return sectors_; }
  bool is_read_only() const;

  /// Whole sectors, at most kBlockBytesMax. nullptr, or what went wrong.
  const char* read(std::uint64_t sector, std::span<std::byte> bytes);
  const char* write(std::uint64_t sector, std::span<const std::byte> bytes);
  /// After this, what was written survives a power loss.
  const char* flush();

 private:
  const char* request(std::uint32_t type, std::uint64_t sector, std::size_t size, VirtQueue::Part::Direction direction);
  const char* check(std::uint64_t sector, std::size_t size) const;

  VirtioDevice device_;
  VirtQueue queue_;
  std::uint64_t sectors_ = 0;
  std::uint64_t buffer_ = 0;  // physical: header, status, then data on its own page
  bool broken_ = false;
};

}  // namespace rse::kernel
