// Page tables of four levels (Intel SDM volume 3, 4.5), made and changed through the direct map.
// Size: a frame a table. Threads: the caller holds interrupts off; other processors' TLBs are not told (there are none yet).
// Memory: frames from the allocator; tables are never given back. Errors: false when there is no frame for a table.
// Invariant: no page is both writable and executable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "guest_kernel/memory/frame_allocator.h"
#include "guest_kernel/memory/layout.h"

namespace rse::kernel {

enum class PageRights : std::uint8_t { kRead, kReadExecute, kReadWrite };
enum class PageCaching : std::uint8_t { kNormal, kUncached };

class PageMapper {
 public:
  /// `direct_map`: where physical address 0 can be reached. `forget`: drops an address from the TLB.
  PageMapper(FrameAllocator& frames, std::byte* direct_map, void (*forget)(std::uint64_t address))
      : frames_(frames), direct_map_(direct_map), forget_(forget) {}

  /// An empty root. False: no memory.
  bool start();
  std::uint64_t root() const { return root_; }

  /// Pages of 2 MiB wherever both addresses allow it. The pages must not be mapped.
  bool map(std::uint64_t address, std::uint64_t physical, std::uint64_t size, PageRights rights,
           PageCaching caching = PageCaching::kNormal);
  /// Unmaps small pages; returns how many there were. `give_frames`: their frames go back to the allocator.
  enum class Frames : std::uint8_t { kGive, kKeep };
  std::size_t unmap(std::uint64_t address, std::uint64_t size, Frames frames);
  /// The physical address, or nothing.
  std::optional<std::uint64_t> translate(std::uint64_t address) const;

 private:
  std::uint64_t* table_at(std::uint64_t physical) const;
  /// The entry for `address` in the table of `level` (1: 4 KiB pages, 2: 2 MiB). nullptr: no memory, or not there.
  std::uint64_t* entry(std::uint64_t address, int level, bool make);

  FrameAllocator& frames_;
  std::byte* direct_map_;
  void (*forget_)(std::uint64_t address);
  std::uint64_t root_ = 0;
};

}  // namespace rse::kernel
